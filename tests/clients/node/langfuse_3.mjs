// langfuse 3, the old JavaScript SDK: the batches of /api/public/ingestion that no Langfuse 4 takes any more.
import { Langfuse } from "langfuse";

const [mark] = process.argv.slice(2);
const langfuse = new Langfuse();
const trace = langfuse.trace({
  name: "answer-question", userId: `${mark}-user`, sessionId: `${mark}-session`, tags: ["beta"], release: "7.1",
  version: "7", metadata: { team: "search" }, input: { question: `${mark} When does it come?` },
});
const span = trace.span({ name: "find-documents", input: "delivery times" });
span.end({ output: ["Deliveries are on Tuesdays."] });
const generation = trace.generation({
  name: "write", model: "gpt-4o-mini", modelParameters: { temperature: 0.2, maxTokens: 50 },
  input: [{ role: "system", content: "Be brief." }, { role: "user", content: `${mark} When?` }],
});
generation.end({
  output: { role: "assistant", content: "It comes on Tuesday." },
  usage: { promptTokens: 21, completionTokens: 5, totalTokens: 26 },
});
trace.event({ name: "cached", input: "key-1" });
trace.update({ output: "It comes on Tuesday." });
langfuse.score({ traceId: trace.id, name: "helpful", value: 0.75, comment: "fine", id: `${mark}-score-1` });
langfuse.score({ traceId: trace.id, observationId: generation.id, name: "tone", value: "friendly" });
await langfuse.shutdownAsync();
console.log(JSON.stringify({ trace: trace.id, generation: generation.id, span: span.id }));
