#!/usr/bin/env bash
# Remove the demo's cluster and everything in it.
#
# Usage: kind/kind_demo_down.sh [--help]
#
# MIDWATCH_CLUSTER        kind or node, when both are possible (kind)
# MIDWATCH_KIND_CLUSTER   name of the kind cluster (midwatch)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster

case "$WHICH" in
  node) "$PYTHON" -m cluster down ;;
  kind)
    require docker kind
    require_docker
    kind delete cluster --name "$CLUSTER"
    ;;
  context) fail "the cluster under the context '$CONTEXT' is yours; uninstall with helm, or delete the namespaces midwatch and demo" ;;
esac
