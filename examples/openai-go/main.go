// Asks an adapted model one question with OpenAI's Go client, through the local Envoy.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// The JWT-SVID is read anew for each request: it lasts minutes, and its file is replaced.
func withCredential(request *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	token, err := os.ReadFile(os.Getenv("CREDENTIAL_FILE"))
	if err != nil {
		return nil, err
	}
	request.Header.Set("x-environment-credential", strings.TrimSpace(string(token)))
	return next(request)
}

func main() {
	base := os.Getenv("BASE_URL")
	if base == "" {
		base = "http://127.0.0.1:10000/v1"
	}
	client := openai.NewClient(
		option.WithBaseURL(base),
		option.WithAPIKey("held-by-the-gateway"), // required by the client; Envoy replaces it
		option.WithMiddleware(withCredential),
	)
	answer, err := client.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{
		Model:    os.Getenv("MODEL"),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Where is my refund?")},
	})
	var denied *openai.Error
	if errors.As(err, &denied) {
		fmt.Fprintf(os.Stderr, "denied: %d %s: %s\n", denied.StatusCode, denied.Code, denied.Message)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Println(answer.Choices[0].Message.Content)
}
