#!/usr/bin/env bash
# Bring the whole demo up on kind: a cluster, Midwatch, the two agents and what they need.
#
# Usage: kind/kind_demo_up.sh [--help]
#
# MIDWATCH_KIND_CLUSTER   name of the cluster (midwatch)
#
# A cluster that is there already is used as it is. `kind delete cluster --name midwatch` removes everything.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
require docker kind kubectl helm
require_docker

if kind get clusters 2>/dev/null | grep -qx "$CLUSTER"; then
  say "Cluster $CLUSTER is there"
else
  say "Creating cluster $CLUSTER"
  kind create cluster --name "$CLUSTER" --config "$KIND_FOLDER/cluster.yaml" --wait 120s
fi

"$KIND_FOLDER/kind_demo_deploy.sh"
"$KIND_FOLDER/kind_demo_status.sh"
