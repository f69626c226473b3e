#!/usr/bin/env bash
# Start what the demo's agents need around them, the model server and the protected system, and wait until they answer.
#
# Usage: kind/demo_dependencies_up.sh [--help]
#
# MIDWATCH_CLUSTER        kind, node (without Docker) or context, when several are possible (kind)
# MIDWATCH_KUBE_CONTEXT   context of kubectl (kind-midwatch)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster
require kubectl
require_cluster

say "Starting the model server and the appliance"
kube apply --filename "$KIND_FOLDER/dependencies.yaml"
kube --namespace demo rollout status deployment/model-server --timeout 120s
kube --namespace demo rollout status deployment/appliance --timeout 120s
