// A form as Node's FormData and fetch write it: the file first, then the field.
"use strict";

async function main() {
  const form = new FormData();
  form.append("file", new Blob([Buffer.from("RIFF\r\n\x00\xff", "latin1")]), process.argv[2]);
  form.append("model", "m");
  const request = new Request("http://gateway.example/", { method: "POST", body: form });
  process.stdout.write(request.headers.get("content-type") + "\n");
  process.stdout.write(Buffer.from(await request.arrayBuffer()));
}

main();
