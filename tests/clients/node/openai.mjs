// openai for JavaScript: plain, streamed, tools, responses, errors.
import OpenAI from "openai";

const [mark] = process.argv.slice(2);
const client = new OpenAI({ maxRetries: 0 });
const model = "gpt-4o-mini";
const metadata = { session_id: `${mark}-session` };
const ask = (content) => ({ model, metadata, messages: [{ role: "user", content }] });
const out = {};
const { data, response, request_id } = await client.chat.completions
  .create({ ...ask(`${mark} When does it come?`), temperature: 0.2, max_completion_tokens: 50 }).withResponse();
out.plain = {
  text: data.choices[0].message.content, finish: data.choices[0].finish_reason, tokens: data.usage.total_tokens,
  request: request_id, trace: response.headers.get("inchworm-trace"),
  configuration: response.headers.get("inchworm-configuration"),
};
const streamed = await client.chat.completions.create({ ...ask(`${mark} stream?`), stream: true }).withResponse();
out.stream = { pieces: [], trace: streamed.response.headers.get("inchworm-trace") };
for await (const chunk of streamed.data) {
  const piece = chunk.choices[0]?.delta?.content;
  if (piece) out.stream.pieces.push(piece);
}
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const runner = client.chat.completions.runTools({
  ...ask(`${mark} arrival in Bern?`),
  tools: [{
    type: "function",
    function: { name: "arrival", description: "When it arrives.", parameters, parse: JSON.parse, function: ({ city }) => `Tuesday in ${city}` },
  }],
});
out.used = await runner.finalContent();
const said = await client.responses.create({ model, metadata, input: `${mark} responses?`, instructions: "Be brief." });
out.responses = said.output_text;
out.errors = {};
for (const status of [400, 429, 500]) {
  try {
    await client.chat.completions.create(ask(`${mark} fail ${status}`));
  } catch (error) {
    out.errors[status] = { class: error.constructor.name, status: error.status, message: error.error.message, request: error.requestID };
  }
}
console.log(JSON.stringify(out));
