// Asks an adapted model one question with OpenAI's Node client, through the local Envoy.
import { readFileSync } from "node:fs";
import OpenAI from "openai";

// The JWT-SVID is read anew for each request: it lasts minutes, and its file is replaced.
function withCredential(url, init) {
  const headers = new Headers(init?.headers);
  headers.set("x-environment-credential", readFileSync(process.env.CREDENTIAL_FILE, "utf8").trim());
  return fetch(url, { ...init, headers });
}

const client = new OpenAI({
  baseURL: process.env.BASE_URL ?? "http://127.0.0.1:10000/v1",
  apiKey: "held-by-the-gateway", // required by the client; Envoy replaces it
  fetch: withCredential,
});
try {
  const answer = await client.chat.completions.create({
    model: process.env.MODEL,
    messages: [{ role: "user", content: "Where is my refund?" }],
  });
  console.log(answer.choices[0].message.content);
} catch (error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  console.error(`denied: ${error.status} ${error.code}: ${error.message}`);
  process.exitCode = 1;
}
