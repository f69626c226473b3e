// Package balancing stands in for the load-balancing exporter of OpenTelemetry's published collectors,
// whose Go module can't be had, in the collector that is built here. It takes what Midwatch's chart
// configures and refuses everything else, so that the chart's two tiers and their autoscalers run in
// tests: traces go by their ids to the pods of one headless Service, named by their hostnames.
package balancing

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
)

// Config is what the published exporter calls its settings.
type Config struct {
	RoutingKey string   `mapstructure:"routing_key"`
	Protocol   Protocol `mapstructure:"protocol"`
	Resolver   Resolver `mapstructure:"resolver"`
}

// Protocol says how every pod is told.
type Protocol struct {
	OTLP otlpexporter.Config `mapstructure:"otlp"`
}

// Resolver says where the pods are found.
type Resolver struct {
	Kubernetes Kubernetes `mapstructure:"k8s"`
}

// Kubernetes names a Service with its namespace, `name.namespace`, and the port of its pods.
type Kubernetes struct {
	Service         string `mapstructure:"service"`
	Ports           []int  `mapstructure:"ports"`
	ReturnHostnames bool   `mapstructure:"return_hostnames"`
}

// Validate refuses what only the published exporter does.
func (config *Config) Validate() error {
	var problems []error
	if config.RoutingKey != "traceID" {
		problems = append(problems, fmt.Errorf("routing_key is %q: it must be traceID", config.RoutingKey))
	}
	found := config.Resolver.Kubernetes
	if name, namespace := found.place(); name == "" || namespace == "" {
		problems = append(problems, fmt.Errorf("resolver.k8s.service is %q: it must be name.namespace", found.Service))
	}
	if len(found.Ports) != 1 {
		problems = append(problems, fmt.Errorf("resolver.k8s.ports is %v: it must be one port", found.Ports))
	}
	if !found.ReturnHostnames {
		problems = append(problems, errors.New("resolver.k8s.return_hostnames is false: it must be true"))
	}
	return errors.Join(problems...)
}

// NewFactory returns the factory that the collector registers.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("load_balancing"),
		defaults,
		exporter.WithTraces(newTraces, component.StabilityLevelDevelopment),
	)
}

func defaults() component.Config {
	config := &Config{RoutingKey: "traceID"}
	config.Protocol.OTLP = *otlpexporter.NewFactory().CreateDefaultConfig().(*otlpexporter.Config)
	// Each pod's own takes its place; OTLP's settings are invalid without one.
	config.Protocol.OTLP.ClientConfig.Endpoint = "of-each-pod:4317"
	return config
}

func newTraces(_ context.Context, settings exporter.Settings, config component.Config) (exporter.Traces, error) {
	return &balancer{settings: settings, config: config.(*Config), members: map[string]exporter.Traces{}}, nil
}
