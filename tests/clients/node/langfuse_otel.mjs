// @langfuse/otel and @langfuse/tracing: observations over OTLP.
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { propagateAttributes, startActiveObservation } from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [mark] = process.argv.slice(2);
const processor = new LangfuseSpanProcessor();
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
provider.register();
const out = {};
const about = { userId: `${mark}-user`, sessionId: `${mark}-session`, tags: ["beta"], metadata: { team: "search" } };
await propagateAttributes(about, () =>
  startActiveObservation("answer-question", async (root) => {
    out.trace = root.traceId;
    root.update({ input: { question: `${mark} When does it come?` } });
    const found = root.startObservation("find-documents", { input: "delivery times" }, { asType: "retriever" });
    found.update({ output: ["Deliveries are on Tuesdays."] }).end();
    const write = root.startObservation("write", {
      model: "gpt-4o-mini", modelParameters: { temperature: 0.2, max_tokens: 50 },
      input: [{ role: "system", content: "Be brief." }, { role: "user", content: `${mark} When?` }],
    }, { asType: "generation" });
    out.generation = write.id;
    write.update({
      output: { role: "assistant", content: "It comes on Tuesday." }, usageDetails: { input: 21, output: 5 },
    }).end();
    root.update({ output: "It comes on Tuesday." });
  }));
await processor.forceFlush();
await provider.shutdown();
console.log(JSON.stringify(out));
