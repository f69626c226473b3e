#!/usr/bin/env bash
# Make the demo's images, load them into the cluster, and install or upgrade Midwatch and the two agents.
#
# Usage: kind/kind_demo_deploy.sh [--help]
#
# MIDWATCH_CLUSTER        kind, node (without Docker) or context, when several are possible (kind)
# MIDWATCH_KIND_CLUSTER   name of the kind cluster that gets the images (midwatch)
# MIDWATCH_KUBE_CONTEXT   context of kubectl and helm of a cluster of yours, which has the images already
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster

values=(--values "$ROOT/charts/midwatch/examples/kind/values.yaml")
case "$WHICH" in
  kind)
    require docker kind kubectl helm
    require_docker
    require_cluster
    for target in dependencies security-agent retail-simulation ledger; do
      say "Building midwatch-$target:kind"
      docker build --quiet --file "$KIND_FOLDER/images.Dockerfile" --target "$target" --tag "midwatch-$target:kind" "$ROOT"
      kind load docker-image "midwatch-$target:kind" --name "$CLUSTER"
    done
    say "Building midwatch-injection:kind"
    docker build --quiet --file "$ROOT/shim/Dockerfile" --tag midwatch-injection:kind "$ROOT"
    kind load docker-image midwatch-injection:kind --name "$CLUSTER"
    values+=(--set injection.image.repository=midwatch-injection --set injection.image.tag=kind)
    ;;
  node)
    require kubectl helm
    require_cluster
    say "Making and loading the images, without Docker"
    "$PYTHON" -m cluster load
    values+=(--values "$KIND_FOLDER/midwatch-values-node.yaml")
    if "$PYTHON" -m toolchain path tempo >/dev/null 2>&1; then
      say "Tempo joins: there is a tempo on PATH"
      values+=(--set tempo.enabled=true)
    fi
    ;;
  context)
    require kubectl helm
    require_cluster
    ;;
esac

"$KIND_FOLDER/demo_dependencies_up.sh"

say "Installing Midwatch"
kube create namespace midwatch --dry-run=client --output yaml | kube apply --filename - >/dev/null
kube label namespace midwatch --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null
helm upgrade --install midwatch "$ROOT/charts/midwatch" --kube-context "$CONTEXT" --namespace midwatch \
  "${values[@]}" --wait --timeout 5m

# The security agent's team has wired the shim by hand; the retail simulation knows nothing of it and is injected.
for agent in security-agent retail-simulation; do
  say "Installing $agent"
  chosen=(--values "$KIND_FOLDER/$agent-values-kind.yaml")
  [[ "$agent" == security-agent ]] || chosen+=(--set-string 'podAnnotations.midwatch\.dev/inject=python')
  helm upgrade --install "$agent" "$ROOT/charts/$agent" --kube-context "$CONTEXT" --namespace demo \
    "${chosen[@]}" --wait --timeout 3m
done
