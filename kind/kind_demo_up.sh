#!/usr/bin/env bash
# Bring the whole demo up: a cluster, Midwatch, the two agents and what they need.
#
# Usage: kind/kind_demo_up.sh [--help]
#
# With Docker and kind the cluster is kind's. Without them, root on Linux gets the same on a node of its own, which
# lives in namespaces of this machine (tools/cluster); its programs are built once, which takes a while.
#
# MIDWATCH_CLUSTER        kind or node, when both are possible (kind)
# MIDWATCH_KIND_CLUSTER   name of the kind cluster (midwatch)
#
# A cluster that is there already is used as it is. kind/kind_demo_down.sh removes everything.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster

if [[ "$WHICH" == node ]]; then
  say "Starting the node"
  "$PYTHON" -m cluster up
  use_node_if_it_runs
elif [[ "$WHICH" == kind ]]; then
  require docker kind kubectl helm
  require_docker
  if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
    say "Cluster $CLUSTER is there"
  else
    say "Creating cluster $CLUSTER"
    kind create cluster --name "$CLUSTER" --config "$KIND_FOLDER/cluster.yaml" --wait 120s
  fi
fi

"$KIND_FOLDER/kind_demo_deploy.sh"
"$KIND_FOLDER/kind_demo_status.sh"
