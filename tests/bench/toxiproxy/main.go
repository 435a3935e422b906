// Toxiproxy, with its API on a loopback port that the kernel chooses:
// "listening on 127.0.0.1:PORT" on standard output says which. Its own command
// cannot say so.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	metrics := toxiproxy.NewMetricsContainer(prometheus.NewRegistry())
	server := toxiproxy.NewServer(metrics, zerolog.Nop())
	routes := mux.NewRouter()
	routes.HandleFunc("/proxies", server.ProxyCreate).Methods("POST")
	routes.HandleFunc("/proxies/{proxy}", server.ProxyUpdate).Methods("POST")
	routes.HandleFunc("/proxies/{proxy}/toxics", server.ToxicCreate).Methods("POST")
	routes.HandleFunc("/proxies/{proxy}/toxics/{toxic}", server.ToxicUpdate).Methods("POST")
	routes.HandleFunc("/proxies/{proxy}/toxics/{toxic}", server.ToxicDelete).Methods("DELETE")
	fmt.Printf("listening on %s\n", listener.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(listener, routes))
	os.Exit(1)
}
