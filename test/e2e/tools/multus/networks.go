package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
)

const (
	defaultNetwork = "v1.multus-cni.io/default-network"
	moreNetworks   = "k8s.v1.cni.cncf.io/networks"
	ownNamespace   = "kube-system" // where Multus looks for a default network without a namespace
)

// selection is an element of an annotation.
type selection struct {
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Interface string         `json:"interface"`
	MAC       string         `json:"mac"`
	IPs       []string       `json:"ips"`
	CNIArgs   map[string]any `json:"cni-args"`
}

// wanted says what the pod asks for, the first NIC first.
func wanted(conf *configuration, pod podArgs, args *skel.CmdArgs) ([]attachment, error) {
	server, err := newServer(conf.Kubernetes)
	if err != nil {
		return nil, err
	}
	annotations, err := server.annotations(pod)
	if err != nil {
		return nil, err
	}
	first, err := parseSelections(annotations[defaultNetwork], ownNamespace)
	if err != nil {
		return nil, err
	}
	if len(first) > 1 {
		return nil, fmt.Errorf("more than one default network is specified: %s", annotations[defaultNetwork])
	}
	more, err := parseSelections(annotations[moreNetworks], pod.namespace)
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		first = []selection{{}}
	}
	var attachments []attachment
	for i, one := range append(first, more...) {
		config, err := configOf(one, conf.ClusterNetwork, server)
		if err != nil {
			return nil, err
		}
		attachments = append(attachments, attachment{config, runtimeConf(one, i, pod, args)})
	}
	return attachments, nil
}

func parseSelections(annotation, namespace string) ([]selection, error) {
	var selections []selection
	if strings.ContainsAny(annotation, "[{\"") {
		decoder := json.NewDecoder(strings.NewReader(annotation))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&selections); err != nil {
			return nil, fmt.Errorf("failed to parse pod Network Attachment Selection Annotation JSON format: %w", err)
		}
	} else if annotation != "" {
		for _, item := range strings.Split(annotation, ",") {
			one := selection{Name: strings.TrimSpace(item)}
			if before, after, found := strings.Cut(one.Name, "/"); found {
				one.Namespace, one.Name = before, after
			}
			one.Name, one.Interface, _ = strings.Cut(one.Name, "@")
			selections = append(selections, one)
		}
	}
	for i := range selections {
		if selections[i].Namespace == "" {
			selections[i].Namespace = namespace
		}
	}
	return selections, nil
}

// configOf reads the plugin list of a network, or of the cluster network for an empty selection.
func configOf(one selection, clusterNetwork string, server *server) ([]byte, error) {
	var config []byte
	var err error
	if one.Name == "" {
		config, err = os.ReadFile(clusterNetwork)
	} else {
		config, err = server.network(one.Namespace, one.Name)
	}
	if err != nil {
		return nil, err
	}
	if len(one.CNIArgs) == 0 {
		return config, nil
	}
	return withCNIArgs(config, one.CNIArgs)
}

// parse takes a single plugin's configuration as well.
func parse(config []byte) (*libcni.NetworkConfigList, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(config, &keys); err != nil {
		return nil, err
	}
	if _, found := keys["plugins"]; found {
		return libcni.ConfListFromBytes(config)
	}
	one, err := libcni.ConfFromBytes(config)
	if err != nil {
		return nil, err
	}
	return libcni.ConfListFromConf(one)
}

// withCNIArgs makes "cni-args" the args.cni of every plugin of a list.
func withCNIArgs(config []byte, cniArgs map[string]any) ([]byte, error) {
	var list map[string]any
	if err := json.Unmarshal(config, &list); err != nil {
		return nil, err
	}
	plugins, _ := list["plugins"].([]any)
	if plugins == nil {
		plugins = []any{list}
	}
	for _, plugin := range plugins {
		conf, isObject := plugin.(map[string]any)
		if !isObject {
			return nil, errors.New("a plugin of the list is not an object")
		}
		args, _ := conf["args"].(map[string]any)
		if args == nil {
			args = map[string]any{}
		}
		cni, _ := args["cni"].(map[string]any)
		if cni == nil {
			cni = map[string]any{}
		}
		for key, value := range cniArgs {
			cni[key] = value
		}
		args["cni"], conf["args"] = cni, args
	}
	return json.Marshal(list)
}

func runtimeConf(one selection, index int, pod podArgs, args *skel.CmdArgs) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{
		ContainerID: args.ContainerID,
		NetNS:       args.Netns,
		IfName:      one.Interface,
		// Multus repeats what it was given behind its own.
		Args: append([][2]string{
			{"IgnoreUnknown", "true"},
			{"K8S_POD_NAMESPACE", pod.namespace},
			{"K8S_POD_NAME", pod.name},
			{"K8S_POD_INFRA_CONTAINER_ID", pod.sandbox},
			{"K8S_POD_UID", pod.uid},
		}, splitArgs(args.Args)...),
		CapabilityArgs: map[string]any{},
	}
	if index == 0 {
		rt.IfName = args.IfName
	} else if rt.IfName == "" {
		rt.IfName = fmt.Sprintf("net%d", index)
	}
	if one.MAC != "" {
		rt.Args = append(rt.Args, [2]string{"MAC", one.MAC})
	}
	if len(one.IPs) > 0 {
		rt.Args = append(rt.Args, [2]string{"IP", strings.Join(one.IPs, ",")})
	}
	// not for the first NIC, whose capabilities are the runtime's
	if index > 0 && one.MAC != "" {
		rt.CapabilityArgs["mac"] = one.MAC
	}
	if index > 0 && len(one.IPs) > 0 {
		rt.CapabilityArgs["ips"] = one.IPs
	}
	return rt
}
