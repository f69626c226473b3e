package balancing

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type balancer struct {
	settings exporter.Settings
	config   *Config
	stop     func()
	lock     sync.RWMutex
	members  map[string]exporter.Traces
}

// Capabilities says that what is consumed is only read.
func (*balancer) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

// ConsumeTraces gives each span to the exporter of its trace's pod.
func (balancer *balancer) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	balancer.lock.RLock()
	defer balancer.lock.RUnlock()
	if len(balancer.members) == 0 {
		return errors.New("there is no pod to give traces to")
	}
	var problems []error
	for address, share := range balancer.shares(traces) {
		problems = append(problems, balancer.members[address].ConsumeTraces(ctx, share))
	}
	return errors.Join(problems...)
}

// Shutdown follows no more and ends every pod's exporter.
func (balancer *balancer) Shutdown(ctx context.Context) error {
	if balancer.stop != nil {
		balancer.stop()
	}
	balancer.lock.Lock()
	defer balancer.lock.Unlock()
	var problems []error
	for _, member := range balancer.members {
		problems = append(problems, member.Shutdown(ctx))
	}
	clear(balancer.members)
	return errors.Join(problems...)
}

// shares splits traces by the pod that each belongs to; spans keep their resource and scope.
func (balancer *balancer) shares(traces ptrace.Traces) map[string]ptrace.Traces {
	shares := map[string]ptrace.Traces{}
	for _, resource := range traces.ResourceSpans().All() {
		resources := map[string]ptrace.ResourceSpans{}
		for _, scope := range resource.ScopeSpans().All() {
			scopes := map[string]ptrace.ScopeSpans{}
			for _, span := range scope.Spans().All() {
				address := balancer.owner(span.TraceID())
				if _, begun := scopes[address]; !begun {
					if _, begun := resources[address]; !begun {
						if _, begun := shares[address]; !begun {
							shares[address] = ptrace.NewTraces()
						}
						resources[address] = shares[address].ResourceSpans().AppendEmpty()
						resource.Resource().CopyTo(resources[address].Resource())
						resources[address].SetSchemaUrl(resource.SchemaUrl())
					}
					scopes[address] = resources[address].ScopeSpans().AppendEmpty()
					scope.Scope().CopyTo(scopes[address].Scope())
					scopes[address].SetSchemaUrl(scope.SchemaUrl())
				}
				span.CopyTo(scopes[address].Spans().AppendEmpty())
			}
		}
	}
	return shares
}

// owner returns the pod with the highest score for a trace: a pod that comes takes an even share from
// every other and moves nothing else, and one that goes leaves its share to all.
func (balancer *balancer) owner(trace pcommon.TraceID) string {
	var best string
	var highest uint64
	for address := range balancer.members {
		score := fnv.New64a()
		score.Write([]byte(address))
		score.Write(trace[:])
		if sum := mixed(score.Sum64()); best == "" || sum > highest || (sum == highest && address < best) {
			best, highest = address, sum
		}
	}
	return best
}

// mixed spreads a sum over all its bits, of which the last bytes written change only the lower ones.
func mixed(sum uint64) uint64 {
	sum = (sum ^ sum>>33) * 0xff51afd7ed558ccd
	sum = (sum ^ sum>>33) * 0xc4ceb9fe1a85ec53
	return sum ^ sum>>33
}
