#!/bin/bash
# PID 1 of the node's namespaces (mount, pid, uts, ipc, net); `cluster.node` starts it with FOLDER,
# BIN, PYTHON, ADDRESS, NODE, PODS and SERVICES. Killed, it takes everything in them along.
set -u
: "${FOLDER:?}" "${BIN:?}" "${PYTHON:?}" "${ADDRESS:?}" "${NODE:?}" "${PODS:?}" "${SERVICES:?}"
mount --make-rslave / && mount --make-rshared /
hostname "$NODE"
printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$NODE" >"$FOLDER/hosts"
mount --bind "$FOLDER/hosts" /etc/hosts
: >"$FOLDER/resolv.conf"
mount --bind "$FOLDER/resolv.conf" "$(readlink -f /etc/resolv.conf)"
# The kubelet writes these unless they read so already, and no namespace isolates them from the
# machine's own: it is shown files instead.
for setting in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file="$FOLDER/sysctl-$(basename "${setting%%=*}")"
  echo "${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/${setting%%=*}"
done
mount -t tmpfs tmpfs /run && mkdir -p /run/lock /run/netns
mkdir -p "$FOLDER"/{varlog,etcd,log,kubelet,containerd,cni}
mount --bind "$FOLDER/varlog" /var/log && mkdir -p /var/log/pods
export PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin"
pki="$FOLDER/pki" configuration="$FOLDER/configuration"

# Each program is started again when it ends: the controllers do until the API's own roles are there.
run() {
  local name="$1"
  shift
  (while :; do
    "$@"
    echo "$name ended with $?; starting it again"
    sleep 1
  done) >"$FOLDER/log/$name.log" 2>&1 &
}

await() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}

run etcd kube etcd --name node --data-dir "$FOLDER/etcd" --unsafe-no-fsync \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster node=http://127.0.0.1:2380

run kube-apiserver kube kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 \
  --secure-port=6443 --advertise-address="$ADDRESS" --service-cluster-ip-range="$SERVICES" \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" \
  --tls-private-key-file="$pki/apiserver.key" \
  --service-account-key-file="$pki/service-accounts.pub" \
  --service-account-signing-key-file="$pki/service-accounts.key" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --kubelet-preferred-address-types=InternalIP \
  --kubelet-client-certificate="$pki/apiserver-kubelet.crt" \
  --kubelet-client-key="$pki/apiserver-kubelet.key" --kubelet-certificate-authority="$pki/ca.crt" \
  --requestheader-client-ca-file="$pki/front-proxy-ca.crt" \
  --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"

run containerd containerd --config "$configuration/containerd.toml"
await test -S /run/containerd/containerd.sock
for archive in "$FOLDER"/images/*.tar; do
  ctr --namespace k8s.io images import "$archive" >>"$FOLDER/log/import.log" 2>&1
done

await kube kubectl --kubeconfig "$pki/admin.kubeconfig" get --raw /readyz
# Without its limits of requests, the start of the controllers takes half the time.
run kube-controller-manager kube kube-controller-manager \
  --kubeconfig="$pki/controller-manager.kubeconfig" \
  --authentication-kubeconfig="$pki/controller-manager.kubeconfig" \
  --authorization-kubeconfig="$pki/controller-manager.kubeconfig" \
  --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
  --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
  --use-service-account-credentials --kube-api-qps=500 --kube-api-burst=1000 --leader-elect=false \
  --allocate-node-cidrs --cluster-cidr="$PODS" --service-cluster-ip-range="$SERVICES" \
  --horizontal-pod-autoscaler-sync-period=5s --bind-address=127.0.0.1
run kube-scheduler kube kube-scheduler --kubeconfig="$pki/scheduler.kubeconfig" \
  --authentication-kubeconfig="$pki/scheduler.kubeconfig" \
  --authorization-kubeconfig="$pki/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
run kube-proxy kube kube-proxy --config "$configuration/kube-proxy.yaml" --hostname-override="$NODE"
# The bridge plugin enforces no NetworkPolicies; this does. What pods of one node say to each other
# passes the hooks of IP only with this setting, which a module of the kernel brings.
[ -e /proc/sys/net/bridge ] || modprobe br_netfilter
sysctl -qw net.bridge.bridge-nf-call-iptables=1
KUBECONFIG="$pki/network-policies.kubeconfig" run network-policies "$PYTHON" -m cluster.enforcer
run kubelet kube kubelet --config "$configuration/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
  --hostname-override="$NODE" --node-ip="$ADDRESS" --root-dir="$FOLDER/kubelet"
# What pods use, from the kubelet, every ten seconds: the least that it takes.
run metrics-server metrics-server --kubeconfig="$pki/metrics-server.kubeconfig" \
  --authentication-kubeconfig="$pki/metrics-server.kubeconfig" \
  --authorization-kubeconfig="$pki/metrics-server.kubeconfig" \
  --tls-cert-file="$pki/metrics-server-serving.crt" \
  --tls-private-key-file="$pki/metrics-server-serving.key" --secure-port=4443 \
  --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --metric-resolution=10s --kubelet-request-timeout=5s

trap 'exit 0' TERM
while :; do
  wait -n 2>/dev/null
  sleep 1
done
