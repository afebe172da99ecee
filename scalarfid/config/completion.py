"""Tab completion in bash. Hydra's own script does not know ``python -m``; its answers are used."""

BASH = r"""
_scalarfid_complete() {
    COMPREPLY=()
    local command
    if [[ $COMP_LINE =~ ^([^\ ]*python[0-9.]*\ +-m\ +scalarfid\.[a-z]+)\ +(.*)$ ]]; then :
    elif [[ $COMP_LINE =~ ^([^\ ]*scalarfid-[a-z]+)\ +(.*)$ ]]; then :
    else return; fi
    command="${BASH_REMATCH[1]}"
    local line="scalarfid ${BASH_REMATCH[2]}"
    local choices
    choices=$(COMP_LINE="$line" COMP_POINT="${#line}" $command -sc query=bash 2>/dev/null)
    COMPREPLY=($(compgen -W "$choices" -- "${line##* }"))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _scalarfid_complete python python3 scalarfid-train
"""
