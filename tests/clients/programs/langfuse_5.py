"""langfuse 5: observations as context managers and as a decorator, its openai wrapper, scores."""

import json
import sys

from langfuse import Langfuse, observe, propagate_attributes
from langfuse.openai import OpenAI

langfuse = Langfuse()
mark = sys.argv[1]
out: dict = {"auth": langfuse.auth_check()}

with (
    propagate_attributes(
        user_id=f"{mark}-user",
        session_id=f"{mark}-session",
        tags=["beta", "docs"],
        metadata={"team": "search"},
        version="7.1",
        trace_name="answer-question",
    ),
    langfuse.start_as_current_observation(
        name="answer-question", as_type="agent", input={"question": f"{mark} When does it come?"}
    ) as root,
):
    with langfuse.start_as_current_observation(
        name="find-documents", as_type="retriever", input="delivery times"
    ) as retrieval:
        retrieval.update(output=["Deliveries are on Tuesdays."])
    with langfuse.start_as_current_observation(
        name="write",
        as_type="generation",
        model="gpt-4o-mini",
        model_parameters={"temperature": 0.2, "max_tokens": 50},
        input=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{mark} When?"}],
    ) as generation:
        generation.update(
            output={"role": "assistant", "content": "It comes on Tuesday."},
            usage_details={"input": 13, "output": 5, "cache_read_input_tokens": 8},
            cost_details={"input": 0.000021, "output": 0.00001},
        )
    with langfuse.start_as_current_observation(
        name="look-up", as_type="tool", input={"city": "Bern"}
    ) as tool:
        tool.update(output={"error": "no such city"}, level="ERROR", status_message="no such city")
    langfuse.create_event(name="cached", input="key-1")
    root.update(output="It comes on Tuesday.")
    out["trace"] = langfuse.get_current_trace_id()
    out["generation"] = generation.id
langfuse.create_score(
    trace_id=out["trace"], name="helpful", value=0.75, comment="fine", score_id=f"{mark}-score-1"
)
langfuse.create_score(
    trace_id=out["trace"], observation_id=out["generation"], name="short", value=1, data_type="BOOLEAN"
)
langfuse.create_score(trace_id=out["trace"], name="tone", value="friendly", data_type="CATEGORICAL")
langfuse.create_score(session_id=f"{mark}-session", name="solved", value=1.0)


@observe(name="decorated")
def decorated(question: str) -> str:
    out["decorated"] = langfuse.get_current_trace_id()
    answer = OpenAI().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": question}], temperature=0.5, name="wrapped"
    )
    return answer.choices[0].message.content or ""


out["answer"] = decorated(f"{mark} wrapped?")
langfuse.flush()
print(json.dumps(out))
langfuse.shutdown()
