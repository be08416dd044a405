// Reads Kubernetes objects (YAML) from standard input as an API server that validates fields strictly
// does: each must decode into its own Go type, without an unknown, misspelt or repeated field. Prints a
// line for each object, `ok KIND NAME` or `error …`; exit status 1 if there is an error.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
)

func main() {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	failed := false
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(err)
		}
		object, kind, err := decoder.Decode(text, nil, nil)
		if err != nil {
			failed = true
			fmt.Println("error", err)
			continue
		}
		named, err := meta.Accessor(object)
		if err != nil {
			panic(err)
		}
		fmt.Println("ok", kind.Kind, named.GetName())
	}
	if failed {
		os.Exit(1)
	}
}
