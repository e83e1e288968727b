# The submit of a run, as one script: its folder as a whole, then each job once. It goes on when nobody waits for it any
# more. Cut anywhere, it leaves what the next one finds: no folder; a folder without the file of an answer, so that
# nothing was sent; that file, without the name of a job, so that the scheduler is asked unless the command
# ended with a refusal; or the name.

trap '' HUP PIPE
state=absent code= job=

report() {
  owner=$(stat -c '%u %U' -- "$folder" 2>/dev/null) || owner='-1 -'
  printf '%s %s %s %s %s\n' "$state" "${code:--}" "$(id -u)" "$owner" "$cluster"
  read_answers
}
trap 'code=$?; report; end_answer $code' EXIT # 0 unless the shell ended the script, as when it can start no process

end() {
  state=$1
  exit 0
}

find_job() {
  sed -nE "$job_program" "$1" 2>/dev/null
}

keep() {
  sync -- "$@" 2>/dev/null || sync
}

# Lock the file of an answer, which its command keeps locked as well. A disk without locks has none.
lock() {
  flock -E 75 "$@" 9
  [ $? -ne 75 ] || end busy
} 2>/dev/null

# Whether the folder has this plan. It is renamed to its name with all that belongs to it.
has_plan() {
  [ "$(cat "$folder/$digest_file" 2>/dev/null)" = "$digest" ]
}

create_folder() {
  if [ -e "$folder" ] || [ -L "$folder" ]; then
    has_plan || end taken
    is_sent && end sent
    state=same
    return
  fi
  mask=$(umask)
  mkdir -p "$parent" && umask go-w && mkdir "$part" || end refused # what runs as the user is written by nobody else
  head -c "$bytes" 2>/dev/null | tar -xmof - -C "$part" --no-same-permissions &&
    [ "$(cat "$part/$digest_file")" = "$digest" ]
  is_whole=$?
  umask "$mask"
  # Another machine may create it at the same moment, which removes what looks left behind.
  if [ $is_whole -ne 0 ] || ! mv -T "$part" "$folder"; then
    rm -rf "$part"
    has_plan || end refused
    state=same
    return
  fi
  keep "$parent"
  state=new
  rm -rf "$parent/.$name".????????.part "$parent/.$name".????????.gone
  find "$parent" -maxdepth 1 -type d \( -name '.?*.????????.part' -o -name '.?*.????????.gone' \) -mtime +0 -exec rm -rf {} +
}

# send ANSWER GONE WORD...: call the submit command, unless its job was sent meanwhile, as by another machine at the same
# moment, whose command is waited for. GONE: one that was sent before, and is no longer in the queue.
send() {
  answer=$1 gone=$2
  shift 2
  touch -- "$answer" || end refused
  exec 9>>"$answer"
  lock -w "$patience"
  job=$(find_job "$answer") || exit 2 # it may have been sent
  if [ -z "$job" ] || [ "$job" = "$gone" ]; then
    : >"$answer"
    keep "$answer" .
    timeout "$patience" "$@" </dev/null >>"$answer" 2>&1
    code=$?
    job=$(find_job "$answer") || exit 2
    [ -n "$job" ] || printf '\n%s%s\n' "$ended" "$code" >>"$answer"
    keep "$answer"
  fi
  exec 9>&-
  [ -n "$job" ] || exit 0
}

# Wait until no command of an earlier submit is at work.
wait_for() {
  for answer; do
    [ -r "$answer" ] || continue
    exec 9<"$answer"
    lock -s -w "$patience"
    exec 9<&-
  done
}

# Let jobs on hold begin. One that was cancelled meanwhile is left as it is.
release() {
  for job; do
    timeout "$patience" $release_command "$job" </dev/null >/dev/null || state=held
  done
}
