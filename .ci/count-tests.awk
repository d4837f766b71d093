# Passes on what `cargo test -- --show-output` prints, but for the output of passing tests, and adds up the results:
# `passed failed skipped` goes to the file `counts`. A test that found it cannot run here prints `skipped: why`.

/^successes:$/ { in_successes = 1 }
/^(failures:|test result: .*)$/ { in_successes = 0 }

/^[Ss]kipped: / && in_successes { unable++; print; next }

/^test result: / {
    # test result: ok. 3 passed; 0 failed; 1 ignored; …
    for (field = 1; field < NF; field++) {
        if ($(field + 1) == "passed;") passed += $field
        if ($(field + 1) == "failed;") failed += $field
        if ($(field + 1) == "ignored;") ignored += $field
    }
}

!in_successes { print; fflush() }

END { print passed - unable, failed + 0, ignored + unable >counts }
