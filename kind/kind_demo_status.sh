#!/usr/bin/env bash
# Show on one screen what of the demo is up, where to click, and what is wrong.
#
# Usage: kind/kind_demo_status.sh [--help]
#
# Ends with 1 when a pod is not ready.
# MIDWATCH_CLUSTER        kind, node (without Docker) or context, when several are possible (kind)
# MIDWATCH_KUBE_CONTEXT   context of kubectl (kind-midwatch)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
no_arguments_but_help "$@"
choose_cluster
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
    [[ "$status" == Completed ]] && continue
    printf '  %-40s %-6s %-18s %s restarts\n' "$name" "$ready" "$status" "$restarts"
    if [[ "$status" != Running || "${ready%/*}" != "${ready#*/}" ]]; then
      wrong=1
      kube --namespace "$namespace" get events --field-selector "involvedObject.name=$name,type=Warning" \
        --sort-by .lastTimestamp --output custom-columns=WHY:.message --no-headers | tail -n 2 | sed 's/^/      /'
    fi
  done <<<"$pods"
done

# What Prometheus answers to a query; nothing when it does not answer.
ask() {
  kube get --raw "/api/v1/namespaces/midwatch/services/midwatch-prometheus:9090/proxy/api/v1/query?query=$1" 2>/dev/null || true
}

say "Alerts that fire"
# ALERTS{alertstate="firing",severity=~"critical|warning"}
answer="$(ask 'ALERTS%7Balertstate%3D%22firing%22%2Cseverity%3D~%22critical%7Cwarning%22%7D')"
alerts="$(grep -o '"alertname":"[^"]*"' <<<"$answer" | cut -d '"' -f 4 | sort | uniq -c || true)"
if [[ -z "$answer" ]]; then
  echo "  unknown: Prometheus does not answer"
elif [[ -z "$alerts" ]]; then
  echo "  none"
else
  while read -r count name; do
    printf '  %-40s %s   docs/runbooks/%s.md\n' "$name" "$count" "$name"
  done <<<"$alerts"
fi

say "Agents that are seen"
# sum by (service_name) (agent_turns_total)
answer="$(ask 'sum%20by%20%28service_name%29%20%28agent_turns_total%29')"
agents="$(grep -o '"service_name":"[^"]*"' <<<"$answer" | cut -d '"' -f 4 | sort || true)"
if [[ -n "$agents" ]]; then
  sed 's/^/  /' <<<"$agents"
else
  echo "  none yet: send one something, for example"
  echo "  kubectl --context $CONTEXT --namespace demo port-forward service/security-agent 8080   and"
  echo "  curl localhost:8080/chat --json '{\"message\": \"What is the current protection status?\"}'"
fi

# Only a cluster with a metrics API knows.
used="$(kube --namespace midwatch top pods --no-headers 2>/dev/null || true)"
if [[ -n "$used" ]]; then
  say "What Midwatch's pods use (CPU, memory)"
  sed 's/^/  /' <<<"$used"
fi

say "Where to click"
[[ "$WHICH" != node ]] || printf '  export KUBECONFIG=%s\n' "$KUBECONFIG"
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
