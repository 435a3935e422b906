// Reads YAML from standard input with Go's yaml.v3 and prints it as JSON in
// which every scalar says what it was taken for: "str:24.0.0", "int:1".
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"gopkg.in/yaml.v3"
)

func tagged(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, inner := range value {
			out["str:"+key] = tagged(inner)
		}
		return out
	case map[any]any:
		// yaml.v3 falls back to this when a key is not a string.
		out := map[string]any{}
		for key, inner := range value {
			out[fmt.Sprint(tagged(key))] = tagged(inner)
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range value {
			out = append(out, tagged(inner))
		}
		return out
	case string:
		return "str:" + value
	case int, int64, uint64:
		return fmt.Sprintf("int:%d", value)
	case float64:
		return fmt.Sprintf("float:%v", value)
	case bool:
		return fmt.Sprintf("bool:%t", value)
	case time.Time:
		return "time:" + value.Format(time.RFC3339Nano)
	case nil:
		return "null"
	default:
		return fmt.Sprintf("%T:%v", value, value)
	}
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		var value any
		if err = yaml.Unmarshal(text, &value); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(tagged(value))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
