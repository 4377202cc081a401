"""Controlled studies: a loop over what the library does, a table with intervals, a figure. `studies` has them by name, `work` what they
share (folders, evaluations, how a run goes on), `results` what they come to; each study is a module of its own."""
