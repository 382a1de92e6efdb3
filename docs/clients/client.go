// A client of the image service for Go, with nothing but its standard library:
//
//	go run client.go http http://127.0.0.1:8080 in.jpg out.jpg
//	go run client.go grpc http://127.0.0.1:50051 in.jpg out.jpg
//
// The second speaks gRPC by hand, as service/proto/imagescaler.proto says: ScaleImageRequest.image is field 1,
// Image.content is field 1, ScaleImageReply.content is field 1.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("client http|grpc URL IN OUT")
	}
	image, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	send := overHTTP
	if os.Args[1] == "grpc" {
		send = overGRPC
	}
	made, err := send(os.Args[2], image)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[4], made, 0o644); err != nil {
		log.Fatal(err)
	}
}

func overHTTP(url string, image []byte) ([]byte, error) {
	answer, err := http.Post(url, "image/jpeg", bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return body, err
}

func overGRPC(url string, image []byte) ([]byte, error) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	target := url + "/imagescaler.ImageScaler/ScaleImage"
	request, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(framed(field(field(image)))))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	for _, told := range []http.Header{answer.Header, answer.Trailer} {
		if status := told.Get("Grpc-Status"); status != "" && status != "0" {
			return nil, fmt.Errorf("%s: %s", told.Get("Imgflow-Code"), told.Get("Grpc-Message"))
		}
	}
	return unframed(body)
}

// field is the number 1 and wire type 2, the length, and the bytes.
func field(content []byte) []byte {
	return append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(content))), content...)
}

// framed is a message as gRPC sends it: not compressed, its length in four bytes, itself.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// unframed gives the bytes of field 1 of the one message.
func unframed(body []byte) ([]byte, error) {
	if len(body) < 7 {
		return nil, errors.New("the answer holds no picture")
	}
	length, size := binary.Uvarint(body[6:])
	return body[6+size : 6+size+int(length)], nil
}
