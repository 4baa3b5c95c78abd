"""langfuse 5: a prompt and a data set, read as a team's program and its evaluations read them."""

import json
import sys

from langfuse import Langfuse

langfuse = Langfuse()
prompt = langfuse.get_prompt(sys.argv[1], type="chat" if len(sys.argv) > 3 else "text", label="production")
out = {"name": prompt.name, "version": prompt.version, "labels": prompt.labels, "prompt": prompt.prompt}
with langfuse.start_as_current_observation(
    name="write", as_type="generation", model="gpt-4o-mini", prompt=prompt, input="When?"
) as generation:
    generation.update(output="It comes on Tuesday.")
    out["trace"] = langfuse.get_current_trace_id()
dataset = langfuse.get_dataset(sys.argv[2])
out["dataset"] = dataset.name
out["items"] = [
    {"id": one.id, "input": one.input, "expected": one.expected_output, "metadata": one.metadata}
    for one in dataset.items
]
print(json.dumps(out, default=str))
langfuse.shutdown()
