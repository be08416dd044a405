// Makes of Istio's objects what istiod makes of them for one proxy, with istiod's own code, and prints it
// in the form of Envoy's configuration dump. Reads JSON from standard input: the objects, and the proxy.
// Prints on standard error what Istio's validation warns of; exit status 1 where it refuses an object, or
// where an object has a field that Istio or Envoy does not know.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	admin "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/xds"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
)

type question struct {
	Objects []json.RawMessage
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
	for _, object := range asked.Objects {
		if err := validate(object); err != nil {
			fail(err)
		}
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

// validate reads an object as an API server that knows Istio's definitions does, and then as Istio does.
func validate(object json.RawMessage) error {
	var found struct {
		APIVersion string
		Kind       string
		Metadata   struct{ Name, Namespace string }
		Spec       json.RawMessage
	}
	if err := json.Unmarshal(object, &found); err != nil {
		return err
	}
	group, version, _ := strings.Cut(found.APIVersion, "/")
	kind := config.GroupVersionKind{Group: group, Version: version, Kind: found.Kind}
	schema, known := collections.All.FindByGroupVersionAliasesKind(kind)
	if !known {
		return fmt.Errorf("%s is no kind of Istio's", kind)
	}
	spec := schema.MustNewInstance().(proto.Message)
	if err := protojson.Unmarshal(found.Spec, spec); err != nil {
		return fmt.Errorf("%s %s: %v", found.Kind, found.Metadata.Name, err)
	}
	if filter, is := spec.(*networking.EnvoyFilter); is {
		for number, one := range filter.ConfigPatches {
			if _, err := xds.BuildXDSObjectFromStruct(one.ApplyTo, one.Patch.Value, true); err != nil {
				return fmt.Errorf("%s %s, patch %d: %v", found.Kind, found.Metadata.Name, number, err)
			}
		}
	}
	meta := config.Meta{
		GroupVersionKind: schema.GroupVersionKind(),
		Name:             found.Metadata.Name,
		Namespace:        found.Metadata.Namespace,
	}
	warning, err := schema.ValidateConfig(config.Config{Meta: meta, Spec: spec})
	if err != nil {
		return fmt.Errorf("%s %s: %v", found.Kind, found.Metadata.Name, err)
	}
	if warning != nil {
		fmt.Fprintf(os.Stderr, "warning: %s %s: %v\n", found.Kind, found.Metadata.Name, warning)
	}
	return nil
}

func made(t test.Failer, asked question) ([]byte, error) {
	settings, err := mesh.ApplyMeshConfigDefaults(asked.Mesh)
	if err != nil {
		return nil, err
	}
	var documents []string
	for _, object := range asked.Objects {
		documents = append(documents, string(object))
	}
	text := strings.Join(documents, "\n---\n")
	istiod := core.NewConfigGenTest(t, core.TestOptions{ConfigString: text, MeshConfig: settings})
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
