#!/usr/bin/env bash
# Show on one screen what of the demo is up, where to click, and what is wrong.
#
# Usage: kind/kind_demo_status.sh [--help]
#
# Ends with 1 when a pod is not ready.
# MIDWATCH_KUBE_CONTEXT   context of kubectl (kind-midwatch)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
require kubectl
require_cluster

wrong=0
for namespace in midwatch demo; do
  say "$namespace"
  pods="$(kube --namespace "$namespace" get pods --no-headers 2>/dev/null || true)"
  if [[ -z "$pods" ]]; then
    echo "  nothing here: run kind/kind_demo_deploy.sh"
    wrong=1
    continue
  fi
  while read -r name ready status restarts _; do
    printf '  %-34s %-7s %-18s %s restarts\n' "$name" "$ready" "$status" "$restarts"
    if [[ "$status" != Running || "${ready%/*}" != "${ready#*/}" ]]; then
      wrong=1
      kube --namespace "$namespace" get events --field-selector "involvedObject.name=$name,type=Warning" \
        --sort-by .lastTimestamp --output custom-columns=WHY:.message --no-headers | tail -n 2 | sed 's/^/      /'
    fi
  done <<<"$pods"
done

say "Where to click"
while read -r service port; do
  if kube --namespace midwatch get service "midwatch-$service" >/dev/null 2>&1; then
    printf '  %-13s kubectl --context %s --namespace midwatch port-forward service/midwatch-%s %s   then http://localhost:%s\n' \
      "$service" "$CONTEXT" "$service" "$port" "$port"
  fi
done <<'SERVICES'
grafana 3000
prometheus 9090
alertmanager 9093
ledger 8088
SERVICES

if ((wrong)); then
  fail "not everything is up; the reasons stand above, more in: kubectl --context $CONTEXT --namespace NAMESPACE describe pod NAME"
fi
echo "Everything is up."
