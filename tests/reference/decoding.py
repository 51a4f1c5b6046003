"""Decoders in plain Python, by definition: dictionaries of tuples, and every class tried."""

import itertools
from collections import defaultdict

import numpy as np


def log_softmax(a):
    a = a.astype(np.float64)
    below = a - a.max(-1, keepdims=True)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def collapsed(path, blank):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def ctc_labellings(logits, blank):
    """Log-probabilities of all labels, by every path of (seq, classes) logits."""
    log_p = log_softmax(logits)
    found = defaultdict(lambda: -np.inf)
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        labels = collapsed(path, blank)
        of_path = sum(log_p[t, k] for t, k in enumerate(path))
        found[labels] = np.logaddexp(found[labels], of_path)
    return dict(found)


def ctc_beam(logits, beam_size, blank):
    """Prefix beam search over (seq, classes) logits; ties go to the earlier candidate."""
    beam = {(): (0.0, -np.inf)}  # of the paths that end with a blank, and of those with a label
    for a, p in zip(logits, log_softmax(logits), strict=True):
        after = {prefix: [-np.inf, -np.inf] for prefix in beam}
        new = {}
        by_rank = [k for k in np.argsort(-a, kind="stable") if k != blank]
        for prefix, (b, last) in beam.items():
            after[prefix][0] = np.logaddexp(b, last) + p[blank]
            if prefix:
                after[prefix][1] = np.logaddexp(after[prefix][1], last + p[prefix[-1]])
            for k in by_rank:
                before = b if prefix[-1:] == (k,) else np.logaddexp(b, last)
                longer = (*prefix, int(k))
                if longer in after:
                    after[longer][1] = np.logaddexp(after[longer][1], before + p[k])
                else:
                    new[longer] = (-np.inf, before + p[k])
        candidates = [*after.items(), *new.items()]
        order = sorted(candidates, key=lambda item: -np.logaddexp(*item[1]))  # which is stable
        beam = {y: tuple(two) for y, two in order[:beam_size] if max(two) > -np.inf}
    return [(labels, np.logaddexp(*two)) for labels, two in beam.items()]


def transducer_labellings(next_log_p, steps, blank, max_symbols):
    """Log-probabilities of all labels, by every way: next_log_p(t, labels) is (classes,)."""
    found = defaultdict(lambda: -np.inf)

    def go(t, labels, here, score):
        if t == steps:
            found[labels] = np.logaddexp(found[labels], score)
            return
        log_p = next_log_p(t, labels)
        go(t + 1, labels, 0, score + log_p[blank])
        for k in range(len(log_p)):
            if k != blank and here < max_symbols:
                go(t, (*labels, k), here + 1, score + log_p[k])

    go(0, (), 0, 0.0)
    return dict(found)


def transducer_beam(next_log_p, steps, blank, beam_size, max_symbols):
    """Beam search over steps, rounds of labels within each; ties go to the earlier candidate."""
    beam = {(): 0.0}
    for t in range(steps):
        done, here = {}, beam
        for round_ in range(max_symbols + 1):
            new = {}
            for labels, score in here.items():
                log_p = next_log_p(t, labels)
                if score + log_p[blank] > -np.inf:
                    done[labels] = np.logaddexp(done.get(labels, -np.inf), score + log_p[blank])
                if round_ < max_symbols:
                    for k in np.argsort(-log_p, kind="stable"):
                        if k != blank:
                            new[(*labels, int(k))] = score + log_p[k]
            best = sorted(done.values(), reverse=True)
            least = best[beam_size - 1] if len(best) >= beam_size else -np.inf
            order = sorted(new.items(), key=lambda item: -item[1])
            here = {labels: score for labels, score in order[:beam_size] if score > least}
        beam = dict(sorted(done.items(), key=lambda item: -item[1])[:beam_size])
    return list(beam.items())


def generate(next_log_p, start_token, end, max_steps, beam_size, length_penalty):
    """Beam search: next_log_p(tokens) is (vocab,); ties go to the earlier candidate."""
    live, complete = [((), 0.0)], []
    for step in range(1, max_steps + 1):
        candidates = []
        for tokens, score in live:
            log_p = next_log_p((start_token, *tokens))
            for k in np.argsort(-log_p, kind="stable"):
                if log_p[k] > -np.inf:
                    candidates.append(((*tokens, int(k)), score + log_p[k]))
        candidates.sort(key=lambda item: -item[1])
        live = []
        for tokens, score in candidates[:beam_size]:
            if tokens[-1] == end:
                complete.append((tokens[:-1], score / step**length_penalty))
            elif step == max_steps:
                complete.append((tokens, score / step**length_penalty))
            else:
                live.append((tokens, score))
        complete = sorted(complete, key=lambda item: -item[1])[:beam_size]
        if len(complete) < beam_size or not live:
            continue
        if live[0][1] / (step + 1) ** length_penalty <= complete[-1][1]:
            break  # the best would not be better a step later
    return sorted(complete, key=lambda item: -item[1])[:beam_size]
