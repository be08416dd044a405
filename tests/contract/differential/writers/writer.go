// A form as mime/multipart writes it: the file first, then the field.
package main

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"os"
)

func main() {
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	file, err := writer.CreateFormFile("file", os.Args[1])
	if err != nil {
		panic(err)
	}
	file.Write([]byte("RIFF\r\n\x00\xff"))
	writer.WriteField("model", "m")
	writer.Close()
	fmt.Println(writer.FormDataContentType())
	os.Stdout.Write(body.Bytes())
}
