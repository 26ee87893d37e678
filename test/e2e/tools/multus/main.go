// Multus for a test's node: a CNI plugin that attaches a pod to the networks that its annotations name, as Multus 4.3 does
// (https://github.com/k8snetworkplumbingwg/multus-cni), with the same libcni and so the same calls, caches and messages.
//
// It reads both annotations in all forms, passes on what Multus passes on, and detaches by what it wrote down. It is one process
// per call, as thin Multus is. What it leaves out: the annotation network-status, events, devices, the keys of a network selection
// that "selection" lacks (they are errors), and a way on without the pod.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

type configuration struct {
	types.PluginConf
	Kubernetes     string `json:"kubernetes"`     // file: how to ask the API server
	ClusterNetwork string `json:"clusterNetwork"` // file: the plugin list of a pod's first NIC, unless it asks for another one
}

type attachment struct {
	Config  []byte
	Runtime *libcni.RuntimeConf
}

// podArgs are the CNI_ARGS of every Kubernetes runtime.
type podArgs struct{ namespace, name, sandbox, uid string }

func main() {
	functions := skel.CNIFuncs{
		Add: add,
		Del: del,
		// Multus checks the delegates in its configuration. Networks of an annotation, and a clusterNetwork, are none.
		Check: func(*skel.CmdArgs) error { return nil },
	}
	skel.PluginMainFuncs(functions, version.PluginSupports("0.3.0", "0.3.1", "0.4.0", "1.0.0"), "Multus for tests")
}

func add(args *skel.CmdArgs) error {
	conf, pod, err := read(args)
	if err != nil {
		return err
	}
	attachments, err := wanted(conf, pod, args)
	if err != nil {
		return fmt.Errorf("Multus: [%s/%s/%s]: error loading k8s delegates k8s args: %v", pod.namespace, pod.name, pod.uid, err)
	}
	if err := save(record(args), attachments); err != nil {
		return err
	}
	cni := libcni.NewCNIConfig(filepath.SplitList(args.Path), nil)
	var first types.Result
	for i, one := range attachments {
		list, err := parse(one.Config)
		if err != nil {
			return err
		}
		result, err := cni.AddNetworkList(context.Background(), list, one.Runtime)
		if err != nil {
			// the one that failed as well; the runtime's DEL has another try
			for ; i >= 0; i-- {
				_ = attachments[i].detach(cni)
			}
			// not %w: as of Multus, its code is 999, whatever the plugin's
			name := list.Name
			return fmt.Errorf("[%s/%s/%s:%s]: error adding container to network %q: %v", pod.namespace, pod.name, pod.uid, name, name, err)
		}
		if i == 0 {
			first = result
		}
	}
	return types.PrintResult(first, conf.CNIVersion)
}

// del needs neither the pod nor the API server, which may be gone.
func del(args *skel.CmdArgs) error {
	text, err := os.ReadFile(record(args))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var attachments []attachment
	if err == nil {
		err = json.Unmarshal(text, &attachments)
	}
	if err != nil {
		return err
	}
	cni := libcni.NewCNIConfig(filepath.SplitList(args.Path), nil)
	var failures []string
	for i := len(attachments) - 1; i >= 0; i-- {
		one := attachments[i]
		one.Runtime.NetNS = args.Netns // empty when it is gone
		if err := one.detach(cni); err != nil {
			failures = append(failures, err.Error())
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("errors: %s", strings.Join(failures, " / "))
	}
	return os.Remove(record(args))
}

func (one attachment) detach(cni *libcni.CNIConfig) error {
	list, err := parse(one.Config)
	if err != nil {
		return err
	}
	return cni.DelNetworkList(context.Background(), list, one.Runtime)
}

// record is the file of a pod's attachments, where Multus has its own.
func record(args *skel.CmdArgs) string {
	return filepath.Join(libcni.CacheDir, "multus", args.ContainerID)
}

func save(file string, attachments []attachment) error {
	text, err := json.Marshal(attachments)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func read(args *skel.CmdArgs) (*configuration, podArgs, error) {
	conf := &configuration{}
	if err := json.Unmarshal(args.StdinData, conf); err != nil {
		return nil, podArgs{}, err
	}
	given := map[string]string{}
	for _, arg := range splitArgs(args.Args) {
		given[arg[0]] = arg[1]
	}
	return conf, podArgs{given["K8S_POD_NAMESPACE"], given["K8S_POD_NAME"], given["K8S_POD_INFRA_CONTAINER_ID"], given["K8S_POD_UID"]}, nil
}

func splitArgs(text string) [][2]string {
	var args [][2]string
	for _, arg := range strings.Split(text, ";") {
		if key, value, found := strings.Cut(arg, "="); found {
			args = append(args, [2]string{key, value})
		}
	}
	return args
}
