// A registry with the referrers API, in memory, on a loopback port that the
// kernel chooses: "listening on 127.0.0.1:PORT" on standard output says which.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	server := http.Server{Handler: registry.New(registry.WithReferrersSupport(true), quiet)}
	fmt.Printf("listening on %s\n", listener.Addr())
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}
