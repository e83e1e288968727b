# Words of the lines in engine_lines.txt, for bash: a run is sent, then its engine says about it what it is told to say.
# Azure ML has none: its SDK asks a service over HTTP, which only the tests' stand-in is.

echo "Slurm accounting storage is disabled" >"$ENGINE/sacct.error"
echo 12 >"$ENGINE/sbatch"
echo "ssh: Could not resolve hostname: Name or service not known" >"$ENGINE/ssh.error"

# Send a job, which becomes number 12.
slurm_sent() {
    robotrain submit job.yaml --platform slurm --runs-dir runs --cache-dir cache "$@" >/dev/null 2>&1 || exit 99
    RUN=$(ls runs)
}

# slurm_job STATE [REASON [NODES [DEPENDENCY]]]: what the queue says about it.
slurm_job() {
    echo "12|12|$1|${2-}|N/A|N/A|${3-}|${4-(null)}|$RUN|robotrain:$RUN:aa" >"$ENGINE/squeue"
}

# slurm_account STATE [CODE]: what the accounting says about it; the queue has forgotten it.
slurm_account() {
    rm -f "$ENGINE/sacct.error"
    echo "12|12|$1|${2-0:0}|900|1100|n1|$RUN|robotrain:$RUN:aa" >"$ENGINE/sacct"
}

# The controller does not answer.
slurm_away() {
    echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >"$ENGINE/squeue.error"
}

# What the run itself leaves in its folder: slurm_begin; slurm_end STATE CODE REASON [HOW_IT_GOES_ON].
slurm_begin() {
    ln -s 12:token:1 "runs/$RUN/taken"
    echo '{"event": "began", "job": "12", "restart": 0, "node": "n1", "began": 1000.0}' >>"runs/$RUN/attempts.jsonl"
}
slurm_end() {
    echo "{\"state\": \"$1\", \"exit_code\": $2, \"reason\": \"$3\"}" >"runs/$RUN/outcome.json"
    echo "{\"event\": \"ended\", \"job\": \"12\", \"restart\": 0, \"state\": \"$1\", \"exit_code\": $2, \"time\": 2000.0," \
        "\"continued_by\": \"${4-}\", \"why\": \"$3\"}" >>"runs/$RUN/attempts.jsonl"
}

# on_osmo CODE: what happens on the tests' stand-in of OSMO, in the words of its class; `run` is the run.
on_osmo() {
    export PATH="$ENGINE/bin:$PATH" OSMO_CONFIG_FILE_DIR="$ENGINE/settings"
    osmo --do "$1" || exit 99
}

# Send a job; osmo_task STATUS [EXIT_CODE]: what becomes of it.
osmo_sent() {
    on_osmo ""
    robotrain submit command --platform osmo --pool default --tracking-uri none --no-install -- true >/dev/null 2>&1 ||
        exit 99
}
osmo_task() {
    on_osmo "osmo.set_state(run, task_status='$1', exit_code=${2-None})"
}
