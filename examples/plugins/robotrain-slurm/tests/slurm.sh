#!/bin/sh
# Stands in for Slurm 22.05: sbatch, squeue, sacct, scancel, scontrol and srun are links to this. Each job of $STAND_IN is a file:
# its name, its state, its script. `mood` says how the next sbatch goes.
cd "$STAND_IN" || exit 1
for word; do
    case $word in
        --name=*) name=${word#*=} ;;
        --jobs=*) job=${word#*=} ;;
        --format=*) ;;
        --state=*) only=${word#*=} ;;
        --signal=*) signal=${word#*=} ;;
        *) last=$word ;;
    esac
done
facts() { { read -r called; read -r state; read -r script; read -r reason || :; } < "$1"; }
case ${0##*/} in
    sbatch)
        mood=$(cat mood 2> /dev/null); rm -f mood
        case $mood in
            refuses)
                echo "sbatch: error: invalid partition specified: nope" >&2
                echo "sbatch: error: Batch job submission failed: Invalid partition name specified" >&2
                exit 1 ;;
            "times out early")
                echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2
                exit 1 ;;
        esac
        number=$(($(ls | grep -c '^[0-9]') + 1))
        called=${SBATCH_JOB_NAME:-$(sed -n "s/^#SBATCH --job-name=//p" "$last")}
        echo "${SBATCH_PARTITION-}" > partition # the environment goes before the file
        if [ "$mood" = "records and refuses" ]; then
            { echo "$called"; echo FAILED; echo "$last"; echo BadConstraints; } > "$number"
            echo "sbatch: error: Batch job submission failed: Requested node configuration is not available" >&2
            exit 1
        fi
        { echo "$called"; echo PENDING; echo "$last"; } > "$number"
        case $mood in
            "times out") echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1 ;;
        esac
        echo "Submitted batch job $number" ;;
    squeue)
        if [ -e away ]; then echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1; fi
        if [ -e lost ]; then echo "squeue: fatal: Could not establish a configuration source" >&2; exit 1; fi
        if [ -n "$job" ]; then # else --name is asked for
            facts "$job" 2> /dev/null
            case $state in
                "" | *" "*) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1 ;;
                PENDING) echo "PENDING (Priority)" ;;
                *) echo "$state (None)" ;;
            esac
        fi
        for number in $(ls | grep '^[0-9]'); do
            facts "$number"
            [ "$called" != "$name" ] || echo "$number|$state|${reason:-None}|$script"
        done ;;
    scontrol)
        if [ -e away ]; then echo "Slurmctld(primary) at lab is DOWN"; exit 1; fi
        echo "Slurmctld(primary) at lab is UP" ;;
    sacct)
        [ ! -e disabled ] || { echo "Slurm accounting storage is disabled" >&2; exit 1; }
        [ ! -e "accounting is away" ] || { echo "sacct: error: Problem talking to the database: Connection refused" >&2; exit 1; }
        facts "$job" 2> /dev/null && echo "$state" ;;
    scancel)
        facts "$last" 2> /dev/null || { echo "scancel: error: Kill job error on job id $last: Invalid job id specified" >&2; exit 1; }
        case $state:$only:$signal in
            PENDING:*: | RUNNING::* | SUSPENDED::* | STAGE_OUT::*) { echo "$called"; echo CANCELLED; echo "$script"; } > "$last" ;;
        esac ;;
esac
