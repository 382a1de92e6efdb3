# Completion of imgflow for bash 4.4 and later. Bash cuts words at COMP_WORDBREAKS, such as the colon of s3://bucket;
# what stands together on the line is put together again before imgflow is asked.
_imgflow_completion() {
    local line="$COMP_LINE" word prefix quoted i
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if ((i)) && [[ "$line" != [[:space:]]* && -n "$word" ]]; then
            words[-1]+="$word"
        else
            words+=("$word")
        fi
        line="${line#*"$word"}"
    done
    prefix="${words[-1]}"
    [[ -n "$word" && "$word" != *[^"$COMP_WORDBREAKS"]* ]] || prefix="${prefix%"$word"}"
    prefix="${prefix%@}" # where a word begins with @, bash cuts there and yet replaces it
    COMPREPLY=()
    while IFS= read -r word; do
        [[ -n "$word" ]] || continue
        if [[ "${words[-1]}" == [\"\']* ]]; then
            COMPREPLY+=("$word") # bash closes the quote that is open
        else
            printf -v quoted %q "$word"
            COMPREPLY+=("${quoted#"$prefix"}")
        fi
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _IMGFLOW_COMPLETE=complete_bash "$1")
}

complete -o default -F _imgflow_completion imgflow
