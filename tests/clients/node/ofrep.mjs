// OpenFeature's server SDK with the OFREP provider: an app's configuration as flags, and a span that says what was served.
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const [unit, app] = process.argv.slice(2);
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: process.env.OFREP_ENDPOINT }));
const client = OpenFeature.getClient();
const context = { targetingKey: unit };
const model = await client.getStringDetails(`${app}.model.name`, "none", context);
const temperature = await client.getNumberDetails(`${app}.parameters.temperature`, -1, context);
const missing = await client.getStringDetails(`${app}.model.nothing`, "none", context);
await OpenFeature.close();

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
const attributes = { ...temperature.flagMetadata, "gen_ai.operation.name": "chat", "gen_ai.request.model": model.value };
const span = provider.getTracer("shop").startSpan("answer-question", { attributes });
span.end();
await provider.shutdown();
console.log(JSON.stringify({ model, temperature, missing, trace: span.spanContext().traceId }));
