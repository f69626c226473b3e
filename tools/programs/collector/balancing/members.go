package balancing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.uber.org/zap"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// How long the start of the collector waits for the first list of pods.
const patience = 15 * time.Second

func (found Kubernetes) place() (name, namespace string) {
	name, namespace, _ = strings.Cut(found.Service, ".")
	return name, namespace
}

// addresses returns host and port of each pod of the slices: its hostname below its Service.
func (found Kubernetes) addresses(slices []*discovery.EndpointSlice) map[string]bool {
	hosts := map[string]bool{}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Hostname != nil {
				hosts[fmt.Sprintf("%s.%s:%d", *endpoint.Hostname, found.Service, found.Ports[0])] = true
			}
		}
	}
	return hosts
}

// Start learns which pods there are and then follows them.
func (balancer *balancer) Start(ctx context.Context, host component.Host) error {
	cluster, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("the pods of %s can only be found inside a cluster: %w", balancer.config.Resolver.Kubernetes.Service, err)
	}
	client, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		return err
	}
	return balancer.follow(ctx, host, client)
}

func (balancer *balancer) follow(ctx context.Context, host component.Host, client kubernetes.Interface) error {
	name, namespace := balancer.config.Resolver.Kubernetes.place()
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(options *meta.ListOptions) {
			options.LabelSelector = discovery.LabelServiceName + "=" + name
		}))
	slices := factory.Discovery().V1().EndpointSlices()
	refresh := func() {
		// The list is the informer's own, which has no errors.
		found, _ := slices.Lister().List(labels.Everything())
		balancer.become(balancer.config.Resolver.Kubernetes.addresses(found), host)
	}
	_, err := slices.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { refresh() },
		UpdateFunc: func(any, any) { refresh() },
		DeleteFunc: func(any) { refresh() },
	})
	if err != nil {
		return err
	}
	following, cancel := context.WithCancel(context.Background())
	balancer.stop = func() { cancel(); factory.Shutdown() }
	factory.Start(following.Done())
	waiting, done := context.WithTimeout(ctx, patience)
	defer done()
	if !cache.WaitForCacheSync(waiting.Done(), slices.Informer().HasSynced) {
		return fmt.Errorf("no list of the pods of %s within %s", balancer.config.Resolver.Kubernetes.Service, patience)
	}
	return nil
}

// become starts an exporter for each pod that came and ends those of pods that went.
func (balancer *balancer) become(wanted map[string]bool, host component.Host) {
	balancer.lock.Lock()
	defer balancer.lock.Unlock()
	for address, member := range balancer.members {
		if !wanted[address] {
			delete(balancer.members, address)
			balancer.settings.Logger.Info("a pod went", zap.String("endpoint", address))
			if err := member.Shutdown(context.Background()); err != nil {
				balancer.settings.Logger.Warn("its exporter did not end well", zap.Error(err))
			}
		}
	}
	for address := range wanted {
		if balancer.members[address] != nil {
			continue
		}
		member, err := balancer.newMember(address)
		if err == nil {
			err = member.Start(context.Background(), host)
		}
		if err != nil {
			balancer.settings.Logger.Error("a pod can't be told", zap.String("endpoint", address), zap.Error(err))
			continue
		}
		balancer.members[address] = member
		balancer.settings.Logger.Info("a pod came", zap.String("endpoint", address))
	}
}

// newMember returns the exporter to one pod. Its name is the pod's: what waits on disk for a pod that
// went is delivered when a pod of that name is back.
func (balancer *balancer) newMember(address string) (exporter.Traces, error) {
	factory := otlpexporter.NewFactory()
	config := balancer.config.Protocol.OTLP
	config.ClientConfig.Endpoint = address
	settings := balancer.settings
	settings.ID = component.NewIDWithName(factory.Type(), balancer.settings.ID.Name()+"-"+address)
	return factory.CreateTraces(context.Background(), settings, &config)
}
