//go:build tools

// Package engine keeps the Pulumi command in go.mod: nothing here is compiled, `go build` names the command itself.
package engine

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
