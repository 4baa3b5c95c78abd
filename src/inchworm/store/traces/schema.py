"""The tables of the trace store. Metadata and payload are apart: an aggregate never reads text.

``number`` counts up in the order of arrival. It joins the tables, and because it is sorted DuckDB
finds a row's payload by the minimum and maximum of each row group, without an index.

What refers to what (since schema 3)::

    traces.number       <- payloads.number, scores.number     one trace, its content, its scores
    traces.key          <- spans.trace_key                    md5 of app and trace id; scanned, no index
    spans.number        <- span_payloads.number               numbers of their own, not those of traces
    traces.combination  -> combinations.id                    what facets are counted by
    hourly, hourly_scores: (combination, hour), rows that are added up; n may be negative
    traces.unit_id, exposures.unit_id, mirrored.unit_id       whose it is
    spans.people                                              whose it is, by unit, session and user

All of a unit: its traces by ``unit_id``, their payloads and scores by ``number``, their spans by ``key``,
and spans of which a value of ``people`` is the unit (``list_contains(map_values(people), UNIT)``). Whoever
deletes or changes rows of ``traces`` or ``scores`` takes them out of the rollups before and puts them back
after, with :func:`inchworm.store.traces.rollups.changing`, and whoever deletes calls
:func:`inchworm.store.traces.numbers.keep` before, so that no number is given twice. The rollups hold counts,
and combinations the names of facets: no text that a person wrote, and no id of a person.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE inchworm_schema (version INTEGER NOT NULL)",
        """
        CREATE TABLE traces (
            number BIGINT NOT NULL,
            app VARCHAR NOT NULL,
            id VARCHAR NOT NULL,
            at_s DOUBLE NOT NULL,
            unit_id VARCHAR NOT NULL,
            configuration_id VARCHAR,
            rollout_id VARCHAR,
            stage INTEGER,
            arm VARCHAR,
            probability DOUBLE,
            outcome VARCHAR NOT NULL,
            reason VARCHAR,
            finish_reason VARCHAR,
            latency_ms DOUBLE,
            input_tokens BIGINT,
            output_tokens BIGINT,
            cost_usd DOUBLE,
            cluster VARCHAR,
            PRIMARY KEY (app, id)
        )
        """,
        """
        CREATE TABLE payloads (
            number BIGINT NOT NULL,
            inputs VARCHAR NOT NULL,
            output VARCHAR,
            reference VARCHAR,
            attributes VARCHAR NOT NULL
        )
        """,
        """
        CREATE TABLE scores (
            sequence BIGINT NOT NULL,
            number BIGINT NOT NULL,
            metric VARCHAR NOT NULL,
            result VARCHAR NOT NULL,
            value DOUBLE,
            reason VARCHAR,
            source VARCHAR NOT NULL,
            at_s DOUBLE NOT NULL
        )
        """,
        """
        CREATE TABLE exposures (
            rollout_id VARCHAR NOT NULL,
            place BIGINT NOT NULL,
            unit_id VARCHAR NOT NULL,
            stage INTEGER NOT NULL,
            arm VARCHAR NOT NULL,
            probability DOUBLE NOT NULL,
            at_s DOUBLE NOT NULL,
            PRIMARY KEY (rollout_id, place),
            UNIQUE (rollout_id, unit_id)
        )
        """,
    ),
    (
        # A constraint cannot be dropped: the table is made anew, and its rows are moved.
        """
        CREATE TABLE exposures_2 (
            rollout_id VARCHAR NOT NULL,
            place BIGINT NOT NULL,
            unit_id VARCHAR NOT NULL,
            stage INTEGER NOT NULL,
            arm VARCHAR NOT NULL,
            probability DOUBLE NOT NULL,
            at_s DOUBLE NOT NULL,
            draw INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (rollout_id, place),
            UNIQUE (rollout_id, unit_id, draw)
        )
        """,
        """
        INSERT INTO exposures_2
        SELECT rollout_id, place, unit_id, stage, arm, probability, at_s, 0 FROM exposures
        """,
        "DROP TABLE exposures",
        "ALTER TABLE exposures_2 RENAME TO exposures",
        "ALTER TABLE traces ADD COLUMN shadow_of VARCHAR",
        """
        CREATE TABLE mirrored (
            rollout_id VARCHAR NOT NULL,
            place BIGINT NOT NULL,
            trace_id VARCHAR NOT NULL,
            shadow_id VARCHAR NOT NULL,
            unit_id VARCHAR NOT NULL,
            stage INTEGER NOT NULL,
            at_s DOUBLE NOT NULL,
            PRIMARY KEY (rollout_id, place),
            UNIQUE (rollout_id, shadow_id)
        )
        """,
    ),
    (
        # No number is given twice: what was read up to a number is found again by it after a deletion.
        "CREATE TABLE high_water (name VARCHAR NOT NULL, last BIGINT NOT NULL)",
        # The rollups: how many traces and scores there are of each combination in each hour.
        """
        CREATE TABLE combinations (
            id INTEGER NOT NULL,
            app VARCHAR NOT NULL,
            shadow BOOLEAN NOT NULL,
            configuration_id VARCHAR,
            rollout_id VARCHAR,
            arm VARCHAR,
            cluster VARCHAR,
            outcome VARCHAR NOT NULL,
            finish_reason VARCHAR,
            model VARCHAR,
            call VARCHAR,
            source VARCHAR,
            incomplete BOOLEAN NOT NULL,
            scored BOOLEAN NOT NULL
        )
        """,
        """
        CREATE TABLE hourly (
            combination INTEGER NOT NULL,
            hour BIGINT NOT NULL,
            n BIGINT NOT NULL,
            settled BOOLEAN NOT NULL
        )
        """,
        """
        CREATE TABLE hourly_scores (
            combination INTEGER NOT NULL,
            hour BIGINT NOT NULL,
            metric VARCHAR NOT NULL,
            n BIGINT NOT NULL,
            scored BIGINT NOT NULL,
            total HUGEINT NOT NULL,
            low BIGINT NOT NULL,
            settled BOOLEAN NOT NULL
        )
        """,
        # A primary key of texts makes writing four times slower at 10 million rows, and finds nothing faster.
        """
        CREATE TABLE traces_3 (
            number BIGINT NOT NULL,
            app VARCHAR NOT NULL,
            id VARCHAR NOT NULL,
            at_s DOUBLE NOT NULL,
            unit_id VARCHAR NOT NULL,
            configuration_id VARCHAR,
            rollout_id VARCHAR,
            stage INTEGER,
            arm VARCHAR,
            probability DOUBLE,
            outcome VARCHAR NOT NULL,
            reason VARCHAR,
            finish_reason VARCHAR,
            latency_ms DOUBLE,
            input_tokens BIGINT,
            output_tokens BIGINT,
            cost_usd DOUBLE,
            cluster VARCHAR,
            shadow_of VARCHAR,
            model VARCHAR,
            call VARCHAR,
            source VARCHAR,
            incomplete BOOLEAN NOT NULL,
            scored BOOLEAN NOT NULL,
            key UBIGINT NOT NULL,
            head UBIGINT NOT NULL,
            combination INTEGER NOT NULL
        )
        """,
        """
        CREATE TEMP TABLE moved AS
        SELECT number, nullif(coalesce(
                CASE json_type(attributes, '$."gen_ai.response.model"')
                    WHEN 'VARCHAR' THEN nullif(attributes->>'$."gen_ai.response.model"', '') END,
                CASE json_type(attributes, '$."gen_ai.request.model"')
                    WHEN 'VARCHAR' THEN attributes->>'$."gen_ai.request.model"' END), '') AS model,
            CASE json_type(attributes, '$."inchworm.call"')
                WHEN 'VARCHAR' THEN nullif(attributes->>'$."inchworm.call"', '') END AS call
        FROM payloads
        """,
        """
        INSERT INTO combinations
        SELECT row_number() OVER (), * FROM (
            SELECT DISTINCT app, shadow_of IS NOT NULL, configuration_id, rollout_id, arm, cluster, outcome,
                finish_reason, model, call, NULL::VARCHAR, FALSE, number IN (SELECT number FROM scores)
            FROM traces JOIN moved USING (number) ORDER BY ALL
        )
        """,
        """
        INSERT INTO traces_3
        SELECT t.number, t.app, t.id, at_s, unit_id, t.configuration_id, t.rollout_id, stage, t.arm,
            probability, t.outcome, reason, t.finish_reason, latency_ms, input_tokens, output_tokens,
            cost_usd, t.cluster, shadow_of, moved.model, moved.call, NULL, FALSE, c.scored,
            md5_number_lower(t.app || chr(0) || t.id),
            ('0x' || rpad(left(hex(encode(t.id)), 16), 16, '0'))::UBIGINT, c.id
        FROM traces t JOIN moved USING (number) JOIN combinations c
            ON t.app = c.app AND (t.shadow_of IS NOT NULL) = c.shadow
            AND t.configuration_id IS NOT DISTINCT FROM c.configuration_id
            AND t.rollout_id IS NOT DISTINCT FROM c.rollout_id AND t.arm IS NOT DISTINCT FROM c.arm
            AND t.cluster IS NOT DISTINCT FROM c.cluster AND t.outcome = c.outcome
            AND t.finish_reason IS NOT DISTINCT FROM c.finish_reason
            AND moved.model IS NOT DISTINCT FROM c.model AND moved.call IS NOT DISTINCT FROM c.call
            AND c.scored = (t.number IN (SELECT number FROM scores))
        ORDER BY t.number
        """,
        "DROP TABLE moved",
        "DROP TABLE traces",
        "ALTER TABLE traces_3 RENAME TO traces",
        # Of each trace and metric one score is the latest.
        "ALTER TABLE scores ADD COLUMN latest BOOLEAN DEFAULT FALSE",
        # The giver's own id of a score, and a number that is made of it, to be found by.
        "ALTER TABLE scores ADD COLUMN id VARCHAR",
        "ALTER TABLE scores ADD COLUMN id_key UBIGINT",
        "ALTER TABLE scores ADD COLUMN comment VARCHAR",
        """
        UPDATE scores SET latest = TRUE WHERE sequence IN (
            SELECT sequence FROM scores
            QUALIFY row_number() OVER (PARTITION BY number, metric ORDER BY at_s DESC, sequence DESC) = 1)
        """,
        """
        INSERT INTO hourly
        SELECT combination, greatest(least(floor(at_s / 3600), 9e15), -9e15)::BIGINT, count(*), TRUE
        FROM traces GROUP BY ALL
        """,
        """
        INSERT INTO hourly_scores
        SELECT combination, greatest(least(floor(t.at_s / 3600), 9e15), -9e15)::BIGINT, metric, count(*),
            count(value),
            coalesce(sum((greatest(least(value, 1e9), -1e9) * 1152921504606846976.0)::HUGEINT)
                FILTER (value IS NOT NULL), 0),
            count(*) FILTER (value < 0.5), TRUE
        FROM scores s JOIN traces t USING (number) WHERE latest GROUP BY ALL
        """,
        """
        CREATE TABLE spans (
            number BIGINT NOT NULL,
            trace_key UBIGINT NOT NULL,
            app VARCHAR NOT NULL,
            trace_id VARCHAR NOT NULL,
            id VARCHAR NOT NULL,
            parent_id VARCHAR,
            name VARCHAR NOT NULL,
            kind VARCHAR NOT NULL,
            started_s DOUBLE,
            ended_s DOUBLE,
            outcome VARCHAR,
            reason VARCHAR,
            model VARCHAR,
            finish_reason VARCHAR,
            input_tokens BIGINT,
            output_tokens BIGINT,
            cost_usd DOUBLE,
            configuration_id VARCHAR,
            rollout_id VARCHAR,
            stage INTEGER,
            arm VARCHAR,
            probability DOUBLE,
            people MAP(VARCHAR, VARCHAR) NOT NULL,
            revision_s DOUBLE NOT NULL
        )
        """,
        """
        CREATE TABLE span_payloads (
            number BIGINT NOT NULL,
            inputs VARCHAR NOT NULL,
            output VARCHAR,
            reference VARCHAR,
            attributes VARCHAR NOT NULL
        )
        """,
    ),
)
"""What each version of the schema adds, oldest first; a released one never changes."""
