// What a server written in JavaScript reads: JSON.parse, Response.formData and URL, used naively.
// The protocol is told in reader.py.
"use strict";

const { posix } = require("node:path");

function ofJson(data) {
  const body = JSON.parse(data.toString("utf8"));
  const found = modelsOf("model", body);
  if (given(body.moderation)) found.push(...modelsOf("moderation", body.moderation));
  found.push(...inTools(body.tools));
  if (Array.isArray(body.input)) {
    for (const item of body.input) found.push(...inTools(item.tools));
  }
  if (given(body.stream) && typeof body.stream !== "boolean") throw new Error("stream");
  found.push(["stream", Buffer.from(String(body.stream === true))]);
  return found;
}

function given(value) {
  return value !== undefined && value !== null;
}

function modelsOf(place, holder) {
  if (typeof holder !== "object") throw new Error("not an object");
  if (!given(holder.model)) return [];
  if (typeof holder.model !== "string") throw new Error("not a string");
  return [[place, Buffer.from(holder.model)]];
}

function inTools(tools) {
  if (!given(tools)) return [];
  if (!Array.isArray(tools)) throw new Error("tools");
  return tools.flatMap((tool) => [
    ...modelsOf("tool", tool),
    ...(given(tool.svg) ? modelsOf("svg", tool.svg) : []),
  ]);
}

async function ofForm(data) {
  const length = data.readUInt16BE(0);
  const headers = { "content-type": data.subarray(2, 2 + length).toString("latin1") };
  const form = await new Response(data.subarray(2 + length), { headers }).formData();
  const found = [];
  for (const [name, value] of form) {
    if (name !== "model") found.push(["name", Buffer.from(name)]);
    else if (typeof value === "string") found.push(["text", Buffer.from(value)]);
    else found.push(["file", Buffer.from(await value.arrayBuffer())]);
  }
  return found;
}

function ofPath(data) {
  const target = data.toString("latin1");
  const seen = decodeURIComponent(new URL("http://upstream.example" + target).pathname);
  return [["path", Buffer.from(posix.normalize(seen))]];
}

const KINDS = { j: ofJson, m: ofForm, p: ofPath };

async function answer(question) {
  try {
    const lines = await KINDS[String.fromCharCode(question[0])](question.subarray(1));
    return "+" + lines.map(([place, value]) => `${place}=${value.toString("hex")}`).join("\n");
  } catch (error) {
    return "-" + error.message;
  }
}

async function main() {
  let held = Buffer.alloc(0);
  for await (const piece of process.stdin) {
    held = Buffer.concat([held, piece]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const end = 4 + held.readUInt32BE(0);
      const said = Buffer.from(await answer(held.subarray(4, end)));
      held = held.subarray(end);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(said.length);
      process.stdout.write(Buffer.concat([head, said]));
    }
  }
}

main();
