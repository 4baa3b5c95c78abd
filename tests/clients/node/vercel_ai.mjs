// The Vercel AI SDK with its telemetry on: text, a stream, a tool, an object; spans over OTLP.
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { generateObject, generateText, jsonSchema, streamText, tool } from "ai";

const [mark] = process.argv.slice(2);
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
const openai = createOpenAI();
const telemetry = (functionId) => ({
  isEnabled: true, functionId, metadata: { userId: `${mark}-user`, sessionId: `${mark}-session` },
});
const out = {};
const text = await generateText({
  model: openai.chat("gpt-4o-mini"), system: "Be brief.", prompt: `${mark} When?`, temperature: 0.2,
  maxOutputTokens: 50, maxRetries: 0, experimental_telemetry: telemetry("answer-question"),
});
out.answer = text.text;
out.usage = text.usage;
out.finish = text.finishReason;
const stream = streamText({
  model: openai.responses("gpt-4o-mini"), prompt: `${mark} stream?`, maxRetries: 0,
  experimental_telemetry: telemetry("stream"),
});
out.pieces = [];
for await (const piece of stream.textStream) out.pieces.push(piece);
const used = await generateText({
  model: openai.chat("gpt-4o-mini"), prompt: `${mark} arrival in Bern?`, maxRetries: 0,
  tools: {
    arrival: tool({
      description: "When it arrives.",
      inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
      execute: async ({ city }) => `Tuesday in ${city}`,
    }),
  },
  stopWhen: ({ steps }) => steps.length === 2, experimental_telemetry: telemetry("tools"),
});
out.used = used.text;
out.tools = used.steps.flatMap((step) => step.toolResults.map(({ toolName, input, output }) => ({ toolName, input, output })));
const object = await generateObject({
  model: openai.chat("gpt-4o-mini"), prompt: `${mark} plan?`, maxRetries: 0,
  schema: jsonSchema({
    type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city", "days"],
    additionalProperties: false,
  }), experimental_telemetry: telemetry("object"),
});
out.object = object.object;
try {
  await generateText({
    model: openai.chat("gpt-4o-mini"), prompt: "fail 429", maxRetries: 0, experimental_telemetry: telemetry("fails"),
  });
} catch (error) {
  out.error = { name: error.name, status: error.statusCode, message: error.message };
}
await provider.shutdown();
console.log(JSON.stringify(out));
