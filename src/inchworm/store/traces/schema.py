"""The tables of the trace store. Metadata and payload are apart: an aggregate never reads text.

``number`` counts up in the order of arrival. It joins the tables, and because it is sorted DuckDB
finds a row's payload by the minimum and maximum of each row group, without an index.
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
)
"""What each version of the schema adds, oldest first; a released one never changes."""
