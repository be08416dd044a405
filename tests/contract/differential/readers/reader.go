// What a server written in Go reads: encoding/json, net/http's forms and net/url, used naively.
// The protocol is told in reader.py.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"strings"
)

type line struct {
	place string
	value []byte
}

type holder struct {
	Model *string `json:"model"`
}

type tool struct {
	Model *string `json:"model"`
	Svg   *holder `json:"svg"`
}

type item struct {
	Tools []tool `json:"tools"`
}

type call struct {
	Model      *string         `json:"model"`
	Moderation *holder         `json:"moderation"`
	Tools      []tool          `json:"tools"`
	Input      json.RawMessage `json:"input"`
	Stream     *bool           `json:"stream"`
}

func ofJSON(data []byte) ([]line, error) {
	var body call
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, err
	}
	lines := named(nil, "model", body.Model)
	if body.Moderation != nil {
		lines = named(lines, "moderation", body.Moderation.Model)
	}
	lines = inTools(lines, body.Tools)
	if trimmed := bytes.TrimSpace(body.Input); len(trimmed) > 0 && trimmed[0] == '[' {
		var items []item
		if err := json.Unmarshal(body.Input, &items); err != nil {
			return nil, err
		}
		for _, each := range items {
			lines = inTools(lines, each.Tools)
		}
	}
	stream := body.Stream != nil && *body.Stream
	return append(lines, line{"stream", []byte(fmt.Sprint(stream))}), nil
}

func named(lines []line, place string, model *string) []line {
	if model == nil {
		return lines
	}
	return append(lines, line{place, []byte(*model)})
}

func inTools(lines []line, tools []tool) []line {
	for _, each := range tools {
		lines = named(lines, "tool", each.Model)
		if each.Svg != nil {
			lines = named(lines, "svg", each.Svg.Model)
		}
	}
	return lines
}

func ofForm(data []byte) ([]line, error) {
	length := int(binary.BigEndian.Uint16(data))
	request, err := http.NewRequest("POST", "http://upstream.example/", bytes.NewReader(data[2+length:]))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", string(data[2:2+length]))
	if err := request.ParseMultipartForm(32 << 20); err != nil {
		return nil, err
	}
	defer request.MultipartForm.RemoveAll()
	var lines []line
	for name, values := range request.MultipartForm.Value {
		for _, value := range values {
			lines = append(lines, formLine(name, "text", []byte(value)))
		}
	}
	for name, files := range request.MultipartForm.File {
		for _, file := range files {
			content, err := contentOf(file)
			if err != nil {
				return nil, err
			}
			lines = append(lines, formLine(name, "file", content))
		}
	}
	return lines, nil
}

func contentOf(file *multipart.FileHeader) ([]byte, error) {
	opened, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return io.ReadAll(opened)
}

func formLine(name, place string, value []byte) line {
	if name == "model" {
		return line{place, value}
	}
	return line{"name", []byte(name)}
}

// A ServeMux redirects an untidy path instead of serving it.
func ofPath(data []byte) ([]line, error) {
	target, err := url.ParseRequestURI(string(data))
	if err != nil {
		return nil, err
	}
	var lines []line
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(_ http.ResponseWriter, request *http.Request) {
		lines = append(lines, line{"path", []byte(path.Clean(request.URL.Path))})
	})
	request := &http.Request{Method: "POST", URL: target, Host: "upstream.example", RequestURI: string(data)}
	mux.ServeHTTP(httptest.NewRecorder(), request)
	if lines == nil {
		return nil, errors.New("redirected")
	}
	return lines, nil
}

func answer(question []byte) string {
	kinds := map[byte]func([]byte) ([]line, error){'j': ofJSON, 'm': ofForm, 'p': ofPath}
	lines, err := kinds[question[0]](question[1:])
	if err != nil {
		return "-" + err.Error()
	}
	var said []string
	for _, each := range lines {
		said = append(said, each.place+"="+hex.EncodeToString(each.value))
	}
	return "+" + strings.Join(said, "\n")
}

func main() {
	source, sink := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	var length [4]byte
	for {
		if _, err := io.ReadFull(source, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(source, question); err != nil {
			return
		}
		said := answer(question)
		binary.Write(sink, binary.BigEndian, uint32(len(said)))
		sink.WriteString(said)
		sink.Flush()
	}
}
