package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// server is the API server.
type server struct {
	Server string `json:"server"`
	CA     string `json:"ca"` // a file
	Token  string `json:"token"`
	client http.Client
}

func newServer(file string) (*server, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	one := &server{}
	if err := json.Unmarshal(text, one); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	ca, err := os.ReadFile(one.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: no certificate in it", one.CA)
	}
	one.client = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return one, nil
}

func (server *server) annotations(pod podArgs) (map[string]string, error) {
	var object struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	err := server.get(fmt.Sprintf("/api/v1/namespaces/%s/pods/%s", pod.namespace, pod.name), &object)
	return object.Metadata.Annotations, err
}

func (server *server) network(namespace, name string) ([]byte, error) {
	var object struct {
		Spec struct {
			Config string `json:"config"`
		} `json:"spec"`
	}
	err := server.get(fmt.Sprintf("/apis/k8s.cni.cncf.io/v1/namespaces/%s/network-attachment-definitions/%s", namespace, name), &object)
	if err != nil {
		return nil, fmt.Errorf("cannot find a network-attachment-definition (%s) in namespace (%s): %w", name, namespace, err)
	}
	return []byte(object.Spec.Config), nil
}

func (server *server) get(path string, object any) error {
	request, err := http.NewRequest(http.MethodGet, server.Server+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+server.Token)
	response, err := server.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return json.Unmarshal(body, object)
}
