// Command podsecurity judges pods by the evaluator of Kubernetes' own Pod Security admission controller.
//
// It reads a JSON array of questions {"level", "version", "metadata", "spec"} from standard input, version such as
// "v1.34", and writes a JSON array of as many lists: the reasons why that level forbids the pod, empty when it does not.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type question struct {
	Level    string            `json:"level"`
	Version  string            `json:"version"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     corev1.PodSpec    `json:"spec"`
}

func main() {
	if err := answer(); err != nil {
		fmt.Fprintln(os.Stderr, "podsecurity:", err)
		os.Exit(1)
	}
}

func answer() error {
	input := new(bytes.Buffer)
	if _, err := input.ReadFrom(os.Stdin); err != nil {
		return err
	}
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	var questions []question
	if err := decoder.Decode(&questions); err != nil {
		return err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	answers := make([][]string, 0, len(questions))
	for _, asked := range questions {
		level, err := api.ParseLevel(asked.Level)
		if err != nil {
			return err
		}
		version, err := api.ParseVersion(asked.Version)
		if err != nil {
			return err
		}
		reasons := []string{}
		for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: version}, &asked.Metadata, &asked.Spec) {
			if !result.Allowed {
				reasons = append(reasons, fmt.Sprintf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
		answers = append(answers, reasons)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
