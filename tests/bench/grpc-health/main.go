// A gRPC server with nothing but the health service. Its arguments are the
// address to listen on, and SERVICE=STATUS; with CERTIFICATE and KEY in the
// environment, which are files, it speaks TLS.
package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("no address"))
	}
	var options []grpc.ServerOption
	if certificate := os.Getenv("CERTIFICATE"); certificate != "" {
		secure, err := credentials.NewServerTLSFromFile(certificate, os.Getenv("KEY"))
		if err != nil {
			fail(err)
		}
		options = append(options, grpc.Creds(secure))
	}
	states := health.NewServer()
	for _, argument := range os.Args[2:] {
		service, word, _ := strings.Cut(argument, "=")
		status, known := grpc_health_v1.HealthCheckResponse_ServingStatus_value[word]
		if !known {
			fail(fmt.Errorf("no status: %q", word))
		}
		states.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_ServingStatus(status))
	}
	server := grpc.NewServer(options...)
	grpc_health_v1.RegisterHealthServer(server, states)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fail(err)
	}
	fail(server.Serve(listener))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
