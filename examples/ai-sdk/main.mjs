// Asks an adapted model one question with Vercel's AI SDK, through the local Envoy.
import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText } from "ai";

// The JWT-SVID is read anew for each request: it lasts minutes, and its file is replaced.
function withCredential(url, init) {
  const headers = new Headers(init?.headers);
  headers.set("x-environment-credential", readFileSync(process.env.CREDENTIAL_FILE, "utf8").trim());
  return fetch(url, { ...init, headers });
}

const openai = createOpenAI({
  baseURL: process.env.BASE_URL ?? "http://127.0.0.1:10000/v1",
  apiKey: "held-by-the-gateway", // required by the client; Envoy replaces it
  fetch: withCredential,
});
try {
  const { text } = await generateText({
    model: openai.chat(process.env.MODEL),
    prompt: "Where is my refund?",
  });
  console.log(text);
} catch (error) {
  if (!APICallError.isInstance(error)) throw error;
  const code = error.responseHeaders?.["x-admissibility-reason"];
  console.error(`denied: ${error.statusCode} ${code}: ${error.message}`);
  process.exitCode = 1;
}
