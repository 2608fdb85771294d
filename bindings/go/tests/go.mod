module github.com/ostler-proxy/ostler/bindings/go/tests

go 1.24.0

require (
	github.com/coder/websocket v1.8.13
	github.com/ostler-proxy/ostler/bindings/go v0.0.0
	golang.org/x/net v0.43.0
)

require golang.org/x/sys v0.36.0 // indirect

replace github.com/ostler-proxy/ostler/bindings/go => ../
