#!/usr/bin/env bash
# Remove the model server and the protected system; the namespace and what else is in it stay.
#
# Usage: kind/demo_dependencies_down.sh [--help]
#
# MIDWATCH_CLUSTER        kind, node (without Docker) or context, when several are possible (kind)
# MIDWATCH_KUBE_CONTEXT   context of kubectl (kind-midwatch)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster
require kubectl
require_cluster

say "Removing the model server and the appliance"
kube --namespace demo delete deployment,service --selector app.kubernetes.io/part-of=midwatch-demo --ignore-not-found
