// Sends one call for each reason with the Node SDK, and writes what its exception shows.
const { createRequire } = require("node:module");
const [modules, url, reasons] = process.argv.slice(2);
const OpenAI = createRequire(modules + "/")("openai").default;

async function main() {
  const shown = {};
  for (const reason of reasons.split(",")) {
    const client = new OpenAI({
      apiKey: "none", baseURL: url + "/v1", maxRetries: 0, defaultHeaders: { "x-reason": reason },
    });
    try {
      await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "x" }] });
    } catch (e) {
      shown[reason] = {
        type: e.constructor.name, "e.code": e.code, "e.message": e.message,
        "e.error.decision_id": e.error?.decision_id,
      };
    }
  }
  process.stdout.write(JSON.stringify(shown));
}
main();
