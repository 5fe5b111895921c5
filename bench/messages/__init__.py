"""`tidesync correct` on files of messages, beside a copy by the formats' own libraries."""
