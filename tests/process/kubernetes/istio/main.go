// Makes of Istio's objects what istiod makes of them for one proxy, with istiod's own code, and prints it
// in the form of Envoy's configuration dump. Reads JSON from standard input: the objects as YAML, and the
// proxy. Prints on standard error what Istio's validation warns of; exit status 1 where it refuses an object.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	_ "istio.io/istio/pkg/config/xds" // the types of Envoy's filters
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

type question struct {
	Objects string
	Mesh    string
	Proxy   struct {
		Type      model.NodeType
		Name      string
		Namespace string
		Address   string
		Labels    map[string]string
	}
}

func main() {
	logs := log.DefaultOptions()
	logs.OutputPaths = []string{"stderr"}
	if err := log.Configure(logs); err != nil {
		fail(err)
	}
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	if err := validate(asked.Objects); err != nil {
		fail(err)
	}
	var dump []byte
	err := test.Wrap(func(t test.Failer) {
		var err error
		if dump, err = made(t, asked); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(string(dump))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func validate(objects string) error {
	configs, unknown, err := crd.ParseInputs(objects)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%s is no kind of Istio's", unknown[0].Kind)
	}
	for _, one := range configs {
		schema, found := collections.All.FindByGroupVersionKind(one.GroupVersionKind)
		if !found {
			return fmt.Errorf("%s is no kind of Istio's", one.GroupVersionKind)
		}
		warning, err := schema.ValidateConfig(one)
		if err != nil {
			return fmt.Errorf("%s %s: %v", one.GroupVersionKind.Kind, one.Name, err)
		}
		if warning != nil {
			fmt.Fprintf(os.Stderr, "warning: %s %s: %v\n", one.GroupVersionKind.Kind, one.Name, warning)
		}
	}
	return nil
}

func made(t test.Failer, asked question) ([]byte, error) {
	settings, err := mesh.ApplyMeshConfigDefaults(asked.Mesh)
	if err != nil {
		return nil, err
	}
	istiod := core.NewConfigGenTest(t, core.TestOptions{ConfigString: asked.Objects, MeshConfig: settings})
	proxy := istiod.SetupProxy(&model.Proxy{
		Type:            asked.Proxy.Type,
		ID:              asked.Proxy.Name + "." + asked.Proxy.Namespace,
		IPAddresses:     []string{asked.Proxy.Address},
		ConfigNamespace: asked.Proxy.Namespace,
		Labels:          asked.Proxy.Labels,
		Metadata: &model.NodeMetadata{
			Namespace:    asked.Proxy.Namespace,
			Labels:       asked.Proxy.Labels,
			IstioVersion: "1.31.0",
		},
	})
	listeners := &admin.ListenersConfigDump{}
	for _, one := range istiod.Listeners(proxy) {
		listeners.DynamicListeners = append(listeners.DynamicListeners, &admin.ListenersConfigDump_DynamicListener{
			Name: one.Name, ActiveState: &admin.ListenersConfigDump_DynamicListenerState{Listener: packed(one)},
		})
	}
	clusters := &admin.ClustersConfigDump{}
	for _, one := range istiod.Clusters(proxy) {
		clusters.DynamicActiveClusters = append(clusters.DynamicActiveClusters,
			&admin.ClustersConfigDump_DynamicCluster{Cluster: packed(one)})
	}
	routes := &admin.RoutesConfigDump{}
	for _, one := range istiod.Routes(proxy) {
		routes.DynamicRouteConfigs = append(routes.DynamicRouteConfigs,
			&admin.RoutesConfigDump_DynamicRouteConfig{RouteConfig: packed(one)})
	}
	dump := &admin.ConfigDump{Configs: []*anypb.Any{packed(listeners), packed(clusters), packed(routes)}}
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(dump)
}

func packed(message proto.Message) *anypb.Any {
	made, err := anypb.New(message)
	if err != nil {
		panic(err)
	}
	return made
}
